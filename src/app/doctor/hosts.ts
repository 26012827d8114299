import { ask, members } from './ask';
import { type Report, record, skip } from './finding';
import { checkKeepAlive } from './settings';
import { describeOffset } from './stores';

interface Host {
  readonly url: string;
  readonly cache: string;
  readonly offsetMs: number;
  readonly isClockWrong: boolean;
  /** Key ids, or undefined where the process has no keys. */
  readonly keys: string | undefined;
  readonly issuer: string | undefined;
  readonly keepAliveSeconds: number | undefined;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

async function look(url: string): Promise<Host> {
  const [health, keys, metadata] = await Promise.all(
    ['/health', '/.well-known/jwks.json', '/.well-known/oauth-authorization-server'].map((path) =>
      ask(`${url}${path}`, { headers: { connection: 'keep-alive' } }),
    ),
  );
  const { cache, clock, instance } = members(health?.text ?? '');
  if (typeof instance !== 'string') throw new Error('not the answer of this service at /health');
  const { keys: list } = members(keys?.text ?? '');
  const { issuer } = members(metadata?.text ?? '');
  const timeout = /timeout=(\d+)/.exec(String(health?.headers['keep-alive'] ?? ''))?.[1];
  return {
    url,
    cache: isRecord(cache) ? String(cache['kind']) : 'unknown',
    offsetMs: isRecord(clock) ? Number(clock['offset_ms']) : 0,
    isClockWrong: isRecord(clock) && clock['status'] === 'degraded',
    keys: Array.isArray(list)
      ? list
          .map((key: unknown) => (isRecord(key) ? String(key['kid']) : ''))
          .sort()
          .join(' ')
      : undefined,
    issuer: typeof issuer === 'string' ? issuer : undefined,
    keepAliveSeconds: timeout === undefined ? undefined : Number(timeout),
  };
}

/** The hosts behind the edge, each asked directly. */
export async function checkHosts(
  report: Report,
  urls: readonly string[],
  balancerSeconds: number,
): Promise<void> {
  const hosts: Host[] = [];
  for (const url of urls.map((one) => one.replace(/\/+$/, ''))) {
    try {
      hosts.push(await look(url));
      record(report, 'host-reachable', undefined);
    } catch (error) {
      record(report, 'host-reachable', {
        severity: 'fault',
        seen: `${url}: ${error instanceof Error ? error.message : String(error)}`,
        means: 'The edge serves with the other hosts alone.',
        fix: 'Start the host, or check the address.',
      });
    }
  }
  for (const { url, keepAliveSeconds } of hosts) {
    if (keepAliveSeconds === undefined)
      skip(report, 'keep-alive', `${url} announces no Keep-Alive`);
    else checkKeepAlive(report, url, keepAliveSeconds, balancerSeconds);
  }
  checkClocks(report, hosts);
  checkSame(report, hosts);
}

function checkClocks(report: Report, hosts: readonly Host[]): void {
  const wrong = hosts.filter(({ isClockWrong }) => isClockWrong);
  record(
    report,
    'clocks',
    wrong.length > 0 && {
      severity: 'fault',
      seen: wrong
        .map(({ url, offsetMs }) => `${url} is ${describeOffset(offsetMs)} the database`)
        .join(', '),
      means: 'The service uses the database’s time; logs, TLS and other programs do not.',
      fix: 'Run a time service (chrony, systemd-timesyncd) on every host.',
    },
  );
}

function checkSame(report: Report, hosts: readonly Host[]): void {
  const differ = (read: (host: Host) => string | undefined) =>
    new Set(hosts.map(read).filter((value) => value !== undefined && value !== '')).size > 1;
  const urls = hosts.map(({ url }) => url).join(' and ');
  record(
    report,
    'hosts-database',
    differ(({ keys }) => keys) && {
      severity: 'fault',
      seen: `${urls} publish different signing keys`,
      means: 'They use different databases (or one has just rotated): tokens and accounts differ.',
      fix: 'The same MONGODB_URI, with the same database name, on every host.',
    },
  );
  record(
    report,
    'hosts-issuer',
    differ(({ issuer }) => issuer) && {
      severity: 'fault',
      seen: `issuers differ: ${hosts.map(({ url, issuer }) => `${url}: ${issuer}`).join(', ')}`,
      means: 'Hosts refuse tokens of each other: clients are signed out at random.',
      fix: 'The same PUBLIC_URL and TOKEN_ISSUER on every host.',
    },
  );
  record(
    report,
    'hosts-cache',
    differ(({ cache }) => cache) && {
      severity: 'fault',
      seen: `caches differ: ${hosts.map(({ url, cache }) => `${url}: ${cache}`).join(', ')}`,
      means: 'Hosts do not share Redis entries, so all of them do without: reads go to MongoDB.',
      fix: 'The same REDIS_URL on every host.',
    },
  );
}
