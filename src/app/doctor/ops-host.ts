import { BlockList } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Config } from '../../kernel/config/config';
import { type Report, record } from './finding';

const inside = new BlockList();
for (const [address, prefix] of [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const)
  inside.addSubnet(address, prefix, 'ipv4');
inside.addSubnet('fc00::', 7, 'ipv6');
inside.addSubnet('fe80::', 10, 'ipv6');
inside.addAddress('::1', 'ipv6');

const isPublic = (address: string): boolean =>
  !inside.check(address, address.includes(':') ? 'ipv6' : 'ipv4');

const addressesHere = (): string[] =>
  Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address));

/** In a container, all addresses are those of a network inside: OPS_HOST=0.0.0.0 is right there. */
export function checkOpsHost(
  report: Report,
  { opsHost, opsPort, environment }: Config['server'],
  here: readonly string[] = addressesHere(),
): void {
  const heard = opsHost === '0.0.0.0' || opsHost === '::' ? here : [opsHost];
  const open = heard.filter((one) => /^[\d.]+$|:/.test(one) && isPublic(one));
  record(
    report,
    'ops-host',
    environment === 'production' &&
      opsPort !== 0 &&
      open.length > 0 && {
        severity: 'warning',
        seen: `OPS_HOST=${opsHost}: the ops port ${opsPort} listens on ${open.join(', ')}`,
        means: 'It has no sign-in: whoever reaches it sees traffic, failed logins and warnings.',
        fix: 'OPS_HOST=127.0.0.1, or an address of a network inside that the scraper reaches.',
      },
  );
}
