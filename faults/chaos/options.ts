import { parseValues } from '../../src/app/cli/arguments';
import { refuseWords, UsageError } from '../../src/app/cli/run';

export const USAGE = `Usage: npm run chaos -- --target URL --i-own-this-staging [OPTIONS]

Disturbs a staging deployment of your own under a load of reads and writes, and checks that no
acknowledged write is lost and no read is stale. It refuses a target, a process or an ops port whose
NODE_ENV is production, and those of another service than the target. It creates ten users, and
removes them at its end.

--i-own-this-staging  required: requests may fail for every client of the target while this runs
--ops URL             the ops port, e.g. http://127.0.0.1:9464, for reload and drain
--ops-token TOKEN     what "npm run cluster -- token" prints there
--primary-pid PID     the service's primary on this host, for kill -9 of its workers, one at a time
--proxy-mongodb URI   the database. A proxy to it listens on 127.0.0.1 while this runs; start the
                      staging with the proxy's address in MONGODB_URI, this waits for it. For a
                      slow database, and one that is away
--proxy-port PORT     of that proxy
--only NAME,NAME      only these scenarios: quiet, reload, drain, kill-worker, database-slow,
                      database-away
--quick               4 s for each scenario instead of 20
--rate N              reads per second (40)
--max-seconds N       ends after this time in any case, and restores the target (300)

Exit codes:
  0    every promise held
  1    a promise was broken, a scenario of --only could not run, or something could not be restored
  3    out of time
  64   invalid command
  69   refused
  70   failed, see the message
  130  ended by Ctrl-C
`;

export interface ChaosOptions {
  readonly target: string;
  readonly ops: { readonly url: string; readonly token: string } | undefined;
  readonly primaryPid: number | undefined;
  readonly proxy: { readonly uri: string; readonly port: number } | undefined;
  readonly only: readonly string[];
  readonly scenarioMs: number;
  readonly ratePerSecond: number;
  readonly maxMs: number;
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max)
    throw new UsageError(`--${name} must be a whole number from ${min} to ${max}.`);
  return value;
}

/** undefined: the usage was asked for. */
export function readOptions(args: readonly string[]): ChaosOptions | undefined {
  const { values, words } = parseValues(args, {
    texts: [
      ...(['target', 'ops', 'ops-token', 'primary-pid', 'proxy-mongodb', 'proxy-port'] as const),
      ...(['only', 'rate', 'max-seconds'] as const),
    ],
    flags: ['i-own-this-staging', 'quick'],
  });
  if (values.help) return undefined;
  refuseWords(words);
  const { target, ops } = values;
  if (target === undefined) throw new UsageError('--target is missing.');
  if (!URL.canParse(target)) throw new UsageError('--target must be a URL.');
  if (!values['i-own-this-staging'])
    throw new UsageError('This disturbs the target: add --i-own-this-staging if it is yours.');
  const { 'ops-token': token, 'primary-pid': pid } = values;
  const { 'proxy-mongodb': uri, 'proxy-port': port } = values;
  if ((ops === undefined) !== (token === undefined))
    throw new UsageError('--ops and --ops-token go together.');
  if ((uri === undefined) !== (port === undefined))
    throw new UsageError('--proxy-mongodb and --proxy-port go together.');
  return {
    target: target.replace(/\/+$/, ''),
    ops: ops === undefined || token === undefined ? undefined : { url: ops, token },
    primaryPid: pid === undefined ? undefined : wholeNumber('primary-pid', pid, 2, 4_194_304),
    proxy:
      uri === undefined || port === undefined
        ? undefined
        : { uri, port: wholeNumber('proxy-port', port, 1, 65_535) },
    only: values.only?.split(',') ?? [],
    scenarioMs: values.quick ? 4000 : 20_000,
    ratePerSecond: wholeNumber('rate', values.rate ?? '40', 1, 1000),
    maxMs: wholeNumber('max-seconds', values['max-seconds'] ?? '300', 5, 3600) * 1000,
  };
}
