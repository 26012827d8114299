import { isIP } from 'node:net';

/**
 * A network as a range of the IPv6 space. IPv4 addresses are mapped to ::ffff:0:0/96, as Express
 * does when it compares addresses.
 */
interface Range {
  readonly first: bigint;
  readonly size: bigint;
}

const MAPPED: Range = { first: 0xffffn << 32n, size: 1n << 32n };
/** Named ranges of Express; all are private. */
const KEYWORDS = new Set(['loopback', 'linklocal', 'uniquelocal']);
/** Private networks that are allowed although they exceed MAX_IPV6. */
const WIDE_PRIVATE = ['fc00::/7', 'fe80::/10'];

/**
 * The widest private IPv4 network is 10.0.0.0/8. All private IPv4 networks together are smaller
 * than two of these.
 */
const MAX_IPV4 = 1n << 24n;
const MAX_IPV4_TOGETHER = 1n << 28n;
/** The widest network of one provider is a /16; the whole public IPv6 space is a /3. */
const MAX_IPV6 = 1n << 112n;

function addressBits(address: string): bigint {
  if (isIP(address) === 4)
    return MAPPED.first + address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  if (dotted !== null)
    return addressBits(`${dotted[1]}0:0`) + (addressBits(dotted[2] ?? '') - MAPPED.first);
  const [head = '', tail] = address.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros: string[] =
    tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].reduce(
    (sum, group) => sum * 65536n + BigInt(`0x${group}`),
    0n,
  );
}

/** Prefix length of a dotted mask; undefined when the mask is not contiguous. */
function maskLength(mask: string): number | undefined {
  const bits = (addressBits(mask) - MAPPED.first).toString(2).padStart(32, '0');
  return /^1*0*$/.test(bits) ? bits.indexOf('0') % 33 : undefined;
}

/**
 * Parses `address`, `address/prefix` or, for IPv4, `address/mask`; undefined for any other form.
 */
function parseNetwork(text: string): Range | undefined {
  const [address = '', suffix, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || address.includes('%') || more.length > 0) return undefined;
  const width = family === 4 ? 32 : 128;
  const prefix = suffix === undefined ? width : prefixOf(suffix, family);
  if (prefix === undefined || prefix > width) return undefined;
  const size = 1n << BigInt(width - prefix);
  return { first: (addressBits(address) / size) * size, size };
}

function prefixOf(suffix: string, family: number): number | undefined {
  if (/^\d{1,3}$/.test(suffix)) return Number(suffix);
  if (family !== 4 || isIP(suffix) !== 4) return undefined;
  return suffix === '255.255.255.255' ? 32 : maskLength(suffix);
}

const within = (inner: Range, outer: Range) =>
  inner.first >= outer.first && inner.first + inner.size <= outer.first + outer.size;

/** The number of IPv4 addresses in the range. */
function ipv4Share(range: Range): bigint {
  if (within(range, MAPPED)) return range.size;
  return within(MAPPED, range) ? MAPPED.size : 0n;
}

/**
 * The fault of a list of trusted proxies, or undefined. A list that covers all addresses would let
 * every client forge its own.
 */
export function faultOfProxies(parts: readonly string[]): string | undefined {
  const named = parts.filter((part) => !KEYWORDS.has(part));
  const unreadable = named.filter((part) => parseNetwork(part) === undefined);
  if (unreadable.length > 0) {
    const list = unreadable.map((part) => JSON.stringify(part)).join(', ');
    return `must be a number of hops or a comma-separated list of addresses, networks (CIDR), loopback, linklocal or uniquelocal; not ${list}`;
  }
  const ranges = named.map((part) => ({ part, range: parseNetwork(part) as Range }));
  const wide = ranges.filter(
    ({ range }) => ipv4Share(range) > MAX_IPV4 || (range.size > MAX_IPV6 && !isPrivate(range)),
  );
  const total = ranges.reduce((sum, { range }) => sum + ipv4Share(range), 0n);
  if (wide.length === 0 && total <= MAX_IPV4_TOGETHER) return undefined;
  const refused = wide.length === 0 ? 'these networks' : wide.map(({ part }) => part).join(', ');
  return `must not trust ${refused}: networks this wide would let any client forge its address; list the addresses of the proxies`;
}

const isPrivate = (range: Range) =>
  WIDE_PRIVATE.some((network) => within(range, parseNetwork(network) as Range));

/** The fault of a list of addresses and networks, or undefined. */
export function faultOfNetworks(parts: readonly string[]): string | undefined {
  const unreadable = parts.filter(
    (part) => parseNetwork(part) === undefined || /\/.*\./.test(part),
  );
  if (unreadable.length === 0) return undefined;
  const list = unreadable.map((part) => JSON.stringify(part)).join(', ');
  return `must be a comma-separated list of addresses and networks (CIDR), such as 10.1.0.0/16; not ${list}`;
}
