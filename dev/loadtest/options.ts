import { availableParallelism } from 'node:os';
import { parseValues } from '../../src/app/cli/arguments';
import { refuseWords, UsageError } from '../../src/app/cli/run';
import { isLoopback } from '../../src/kernel/config/urls';
import { USERS_MAX } from './data/templates';
import { KIND_NAMES, type KindName, type Mix, SCENARIO_NAMES, SCENARIOS } from './scenarios';

export const USAGE = `Usage: npm run loadtest -- --target URL [OPTIONS]
       npm run loadtest -- forecast --target URL --rate R --metrics URL [OPTIONS]
       npm run loadtest -- seed --users N
       npm run loadtest -- seed --remove

Without a command: sends requests to the target, and reports what kept it from more.
  --target URL           the service, or its edge
  --scenario NAME        ${SCENARIO_NAMES.join(', ')} (read-heavy)
  --mix MIX              a mix of your own instead, e.g. profile=90,list=9,login=1; the kinds are
      ${KIND_NAMES.join(', ')}
  --duration-seconds N   of sending (30)
  --connections N        closed loop: each connection sends its next request after the answer to the
                         last (64)
  --rate N               open loop: N requests a second are due, whether or not earlier ones are
                         answered; a latency counts from the time that its request was due
  --users N              seeded users whose tokens are used (1000)
  --processes N          processes that send (half of this machine's processors, at most 4)
  --metrics URL          the target's /metrics on the ops port, for the limiting resource
  --report FILE.html     the report (loadtest-report.html)
  --i-own-this-target    required for a target that is not on this machine

forecast: says how many workers and hosts R requests a second need. Also takes
  --cores-per-host N     for the number of hosts (as many as this machine has)
  --check                measures every scenario, and compares; more than 20 % off ends with 1

seed: stores N users (u0@loadtest.example, …) in MONGODB_URI; --remove removes them, and all that
belongs to them.
  --i-own-this-database  required for a database that is not on this machine

Tokens are signed with the target's own key: run it with the target's settings (MONGODB_URI,
JWT_SECRET or KEY_ENCRYPTION_SECRET, PUBLIC_URL), in its folder, or with its .env. It refuses
NODE_ENV=production, a target that says so, and a database that a service with NODE_ENV=production
uses.

Exit codes:
  0    done
  1    failed, or the target stopped answering
  64   invalid command, nothing was sent or written
  69   production, refused
  78   invalid settings
  130  ended by Ctrl-C; the report is written
`;

interface Common {
  readonly target: string;
  /** Its name. */
  readonly scenario: string;
  readonly mix: Mix;
  readonly users: number;
  readonly processes: number;
  readonly metrics: string | undefined;
}

export interface RunOptions extends Common {
  readonly command: 'run';
  readonly durationSeconds: number;
  readonly connections: number;
  /** Requests a second; undefined: closed loop. */
  readonly rate: number | undefined;
  readonly report: string;
}

export interface ForecastOptions extends Common {
  readonly command: 'forecast';
  readonly rate: number;
  readonly coresPerHost: number;
  readonly check: boolean;
  readonly metrics: string;
}

export interface SeedOptions {
  readonly command: 'seed';
  readonly users: number;
  readonly remove: boolean;
  /** It was said of a database that is not on this machine. */
  readonly isOwned: boolean;
}

export type Options = RunOptions | SeedOptions | ForecastOptions | { readonly command: 'help' };

const NUMBERS = [
  ...(['duration-seconds', 'connections', 'rate', 'users', 'processes', 'cores-per-host'] as const),
];
const KNOWN = {
  texts: ['target', 'scenario', 'mix', 'metrics', 'report', ...NUMBERS],
  flags: ['remove', 'check', 'i-own-this-target', 'i-own-this-database'],
} as const;

type Values = ReturnType<typeof parse>['values'];

const parse = (argv: readonly string[]) => parseValues(argv, KNOWN);

/** Throws UsageError with a message for a terminal. */
export function parseOptions(argv: readonly string[]): Options {
  const { values, words } = parse(argv);
  if (values.help) return { command: 'help' };
  const [command = 'run', ...rest] = words;
  refuseWords(rest);
  if (command === 'seed') return seedOptions(values);
  if (command === 'forecast') return forecastOptions(values);
  if (command === 'run') return runOptions(values);
  throw new UsageError(`Unknown command ${JSON.stringify(command)}: seed or forecast.`);
}

function runOptions(values: Values): RunOptions {
  forbid(values, ['cores-per-host', 'remove', 'check', 'i-own-this-database'], 'run');
  if (values.connections !== undefined && values.rate !== undefined)
    throw new UsageError(
      'Give --connections (closed loop) or --rate (open loop), not both: an open loop opens as many connections as it needs.',
    );
  return {
    ...{ command: 'run', ...common(values) },
    durationSeconds: whole(values, 'duration-seconds', 30, 86_400),
    connections: whole(values, 'connections', 64, 100_000),
    rate: values.rate === undefined ? undefined : whole(values, 'rate', 0, 1_000_000),
    report: values.report ?? 'loadtest-report.html',
  };
}

function forecastOptions(values: Values): ForecastOptions {
  const others = ['connections', 'duration-seconds', 'report', 'remove', 'i-own-this-database'];
  forbid(values, others, 'forecast');
  const { metrics, ...options } = common(values);
  if (values.rate === undefined) throw new UsageError('--rate is missing.');
  if (metrics === undefined)
    throw new UsageError(
      '--metrics is missing: a forecast is made of the processor time that /metrics reports.',
    );
  return {
    ...{ command: 'forecast', ...options, metrics },
    rate: whole(values, 'rate', 0, 100_000_000),
    coresPerHost: whole(values, 'cores-per-host', availableParallelism(), 1024),
    check: values.check,
  };
}

function seedOptions(values: Values): SeedOptions {
  const own = ['users', 'remove', 'i-own-this-database'];
  const others = [...KNOWN.texts, ...KNOWN.flags].filter((name) => !own.includes(name));
  forbid(values, others, 'seed');
  if (values.remove === (values.users !== undefined))
    throw new UsageError('Give --users N or --remove.');
  const isOwned = values['i-own-this-database'];
  const users = whole(values, 'users', 0, USERS_MAX);
  return { command: 'seed', remove: values.remove, users, isOwned };
}

function common(values: Values): Common {
  return {
    target: targetOf(values),
    ...trafficMix(values),
    users: whole(values, 'users', 1000, 1_000_000),
    processes: whole(values, 'processes', defaultProcesses(), 64),
    metrics: values.metrics === undefined ? undefined : webUrl(values.metrics, '--metrics').href,
  };
}

function trafficMix({ scenario, mix }: Values): Pick<Common, 'scenario' | 'mix'> {
  if (mix !== undefined) {
    if (scenario !== undefined) throw new UsageError('Give --scenario or --mix, not both.');
    return { scenario: 'own mix', mix: mixOf(mix) };
  }
  const name = SCENARIO_NAMES.find((one) => one === (scenario ?? 'read-heavy'));
  if (name === undefined)
    throw new UsageError(`--scenario must be one of ${SCENARIO_NAMES.join(', ')}.`);
  return { scenario: name, mix: SCENARIOS[name] };
}

/** `profile=90,login=1` */
function mixOf(text: string): Mix {
  const weights = text.split(',').map((part): [KindName, number] => {
    const [, name, weight] = /^([a-z-]+)=(\d{1,6}(?:\.\d{1,6})?)$/.exec(part.trim()) ?? [];
    const kind = KIND_NAMES.find((one) => one === name);
    if (kind !== undefined && Number(weight) > 0) return [kind, Number(weight)];
    throw new UsageError(
      `--mix: ${JSON.stringify(part)} is not KIND=WEIGHT with a weight above 0 and one of ${KIND_NAMES.join(', ')}.`,
    );
  });
  const mix = Object.fromEntries(weights);
  if (Object.keys(mix).length < weights.length)
    throw new UsageError('--mix names a kind of request twice.');
  return mix;
}

const defaultProcesses = () => Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));

function targetOf(values: Values): string {
  if (values.target === undefined) throw new UsageError('--target is missing.');
  const url = webUrl(values.target, '--target');
  if (!isLoopback(url.hostname) && !values['i-own-this-target'])
    throw new UsageError(
      `${url.hostname} is not this machine. A load test of a service that is not yours is an attack: give --i-own-this-target if it is yours.`,
    );
  return url.origin;
}

function webUrl(text: string, option: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === '') return url;
  throw new UsageError(`${option} must be an http:// or https:// URL without a password.`);
}

function whole(
  values: Values,
  name: (typeof NUMBERS)[number],
  fallback: number,
  max: number,
): number {
  const text = values[name];
  if (text === undefined) return fallback;
  if (/^[1-9]\d{0,8}$/.test(text) && Number(text) <= max) return Number(text);
  throw new UsageError(`--${name} must be a whole number from 1 to ${max}.`);
}

function forbid(values: Values, names: readonly string[], command: string): void {
  const given = values as Readonly<Record<string, unknown>>;
  const isGiven = (name: string) => given[name] !== undefined && given[name] !== false;
  const wrong = names.find(isGiven);
  if (wrong !== undefined) throw new UsageError(`--${wrong} has no meaning for ${command}.`);
}
