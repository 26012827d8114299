import { networkInterfaces } from 'node:os';
import type { Config } from '../../kernel/config/config';
import { createTrust } from '../../platform/http/client-address';
import { type Report, record } from './finding';

/** With the networks of carriers (RFC 6598). */
const isInside = createTrust(['loopback', 'linklocal', 'uniquelocal', '100.64.0.0/10']);

const addressesHere = (): string[] =>
  Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address));

/** In a container, all addresses are those of a network inside: OPS_HOST=0.0.0.0 is right there. */
export function checkOpsHost(
  report: Report,
  { opsHost, opsPort, environment }: Config['server'],
  here: readonly string[] = addressesHere(),
): void {
  const heard = opsHost === '0.0.0.0' || opsHost === '::' ? here : [opsHost];
  const open = heard.filter((one) => /^[\d.]+$|:/.test(one) && !isInside(one, 0));
  record(
    report,
    'ops-host',
    environment === 'production' &&
      opsPort !== 0 &&
      open.length > 0 && {
        severity: 'warning',
        seen: `OPS_HOST=${opsHost}: the ops port ${opsPort} listens on ${open.join(', ')}`,
        means:
          'It has no sign-in: every client that reaches it sees traffic, failed logins and warnings.',
        fix: 'OPS_HOST=127.0.0.1, or an address of a network inside that the scraper reaches.',
      },
  );
}
