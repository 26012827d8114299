import { BlockList, isIP, isIPv4, SocketAddress } from 'node:net';
import { LRUCache } from 'lru-cache';

/** Whether the proxy at `address` is trusted; `hop` counts from the connected peer, which is 0. */
export type TrustProxy = (address: string, hop: number) => boolean;

/** The names of private networks, as in Express. */
const NAMED_NETWORKS: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.1/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};
/**
 * Size of the cache of decisions: a lookup in the list takes microseconds, and there are few
 * proxies.
 */
const CACHE_MAX = 10_000;

/**
 * `trusted` is the value of TRUST_PROXY: a number of hops, or a list of addresses, networks
 * (`/prefix`; for IPv4 also `/mask`) and network names.
 */
export function createTrust(trusted: number | readonly string[]): TrustProxy {
  if (typeof trusted === 'number') return (_address, hop) => hop < trusted;
  const list = new BlockList();
  for (const network of trusted.flatMap((part) => NAMED_NETWORKS[part] ?? [part])) {
    const [address = '', suffix] = network.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (suffix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, prefixLength(suffix), family);
  }
  const cache = new LRUCache<string, boolean>({ max: CACHE_MAX });
  return (address) => {
    const cached = cache.get(address);
    if (cached !== undefined) return cached;
    const family = isIP(address);
    const isTrusted = family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
    cache.set(address, isTrusted);
    return isTrusted;
  };
}

/** `8`, or the equivalent mask `255.0.0.0`. The configuration refuses non-contiguous masks. */
const prefixLength = (suffix: string): number =>
  isIPv4(suffix)
    ? suffix
        .split('.')
        .map((part) => Number(part).toString(2).replaceAll('0', '').length)
        .reduce((sum, ones) => sum + ones, 0)
    : Number(suffix);

/** The longest form of an address with zone, brackets, port and quotes. */
const MAX_CHARS = 100;
const PORT = '(?::[\\w.-]*)?';
const BRACKETED = new RegExp(`^\\[([^\\]]*)\\]${PORT}$`);
const IPV4_WITH_PORT = new RegExp(`^([\\d.]+)${PORT}$`);
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/;

/**
 * The address in canonical form: no port, brackets, quotes or zone; an IPv4-mapped IPv6 address as
 * IPv4. Undefined for everything else, such as `unknown` or `_hidden`. All spellings of an address
 * become equal, so a client cannot get several limits, for example by another port.
 */
export function parseAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (text.length > MAX_CHARS) return undefined;
  const bare = text.trim().replace(/^"(.*)"$/, '$1');
  const [, host = bare] = BRACKETED.exec(bare) ?? IPV4_WITH_PORT.exec(bare) ?? [];
  const [address = ''] = host.split('%', 1);
  if (isIP(address) !== 6) return isIPv4(address) && !host.includes('%') ? address : undefined;
  const { address: canonical } = new SocketAddress({ address, family: 'ipv6' });
  return MAPPED.exec(canonical)?.[1] ?? canonical;
}

/**
 * The client's address: the first one, from the connected peer backwards through X-Forwarded-For,
 * that is not a trusted proxy. Where an entry is no address, the proxy that wrote it counts as the
 * client: text that a client chooses must never become a key of its own.
 */
export function clientAddressOf(
  peer: string | undefined,
  forwardedFor: string | undefined,
  trust: TrustProxy,
): string {
  let address = peerAddress(peer);
  if (forwardedFor === undefined || !trust(address, 0)) return address;
  let end = forwardedFor.length;
  for (let hop = 1; end >= 0; hop += 1) {
    const comma = end === 0 ? -1 : forwardedFor.lastIndexOf(',', end - 1);
    const next = parseAddress(forwardedFor.slice(comma + 1, end).trim());
    if (next === undefined) return address;
    address = next;
    if (!trust(address, hop)) return address;
    end = comma;
  }
  return address;
}

/** Node has no address for a closed socket: such requests share the key `unknown`. */
export const peerAddress = (peer: string | undefined): string =>
  peer === undefined ? 'unknown' : (parseAddress(peer) ?? 'unknown');
