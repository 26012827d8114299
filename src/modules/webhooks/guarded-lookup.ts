import { type LookupAddress, lookup as resolve } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/**
 * Networks that are not the public Internet (IANA special-purpose registries): an endpoint there
 * would make this service a way into its own network. Cloud metadata is link-local.
 */
const REFUSED_IPV4: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];
/** Of IPv6, only 2000::/3 is public, without what carries an IPv4 address or is not routed. */
const PUBLIC_IPV6: readonly [string, number][] = [['2000::', 3]];
const REFUSED_IPV6: readonly [string, number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

function listOf(networks: readonly [string, number][], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of networks) list.addSubnet(address, prefix, family);
  return list;
}
const refusedIpv4 = listOf(REFUSED_IPV4, 'ipv4');
const refusedIpv6 = listOf(REFUSED_IPV6, 'ipv6');
const publicIpv6 = listOf(PUBLIC_IPV6, 'ipv6');

/** CIDR networks of a setting, e.g. 10.1.0.0/16. */
export function allowedNetworks(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    list.addSubnet(address, Number(prefix ?? (family === 'ipv4' ? 32 : 128)), family);
  }
  return list;
}

export function isAllowedTarget(address: string, allowed: BlockList): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  if (allowed.check(address, family === 4 ? 'ipv4' : 'ipv6')) return true;
  if (family === 4) return !refusedIpv4.check(address, 'ipv4');
  return publicIpv6.check(address, 'ipv6') && !refusedIpv6.check(address, 'ipv6');
}

/** The endpoint's name resolves to addresses that are not allowed alone. */
export class RefusedTargetError extends Error {
  override readonly name = 'RefusedTargetError';
}

/**
 * For `lookup` of a connection: the socket connects to an address that was checked, so a name that
 * resolves to another address a moment later gains nothing. Node calls no lookup for a literal
 * address: check that by `isAllowedTarget` (attempt.ts does).
 */
export function guardedLookup(allowed: BlockList): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) return callback(error, '', 0);
      const usable = found.filter(({ address }) => isAllowedTarget(address, allowed));
      const [first] = usable;
      if (first === undefined)
        return callback(new RefusedTargetError(`${hostname} is not a public address`), '', 0);
      if (options.all === true) return callback(null, usable);
      return callback(null, first.address, first.family);
    });
  };
}
