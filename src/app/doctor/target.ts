import type { Config } from '../../kernel/config/config';
import { isLoopback } from '../../kernel/config/urls';
import { ask, members, type Response } from './ask';
import { type Check, type Finding, type Report, record, skip } from './finding';

const METADATA = '/.well-known/oauth-authorization-server';
/** Public, and behind the general rate limit. */
const LIMITED = '/.well-known/jwks.json';
/** Addresses that nobody has (RFC 5737). */
const FORGED = ['192.0.2.17', '198.51.100.23', '203.0.113.5'] as const;

/** The service as its clients see it, through the edge. Reads only. */
export async function checkTarget(
  report: Report,
  target: string,
  config: Config | undefined,
): Promise<void> {
  const base = target.replace(/\/+$/, '');
  const ready = await ask(`${base}/readyz`).catch((error: Error) => error);
  const failure = ready instanceof Error ? ready.message : failureOf(ready);
  if (ready instanceof Error || failure !== undefined)
    return record(report, 'target-ready', {
      severity: 'fault',
      seen: `${base}/readyz: ${failure}`,
      means: 'Clients are not served through this address.',
      fix: 'Look at the edge’s log and at /health of each host.',
    });
  record(report, 'target-ready', undefined);
  record(report, 'target-tls', tlsFinding(base, ready));
  await attempt(report, ['public-url'], () => checkPublicUrl(report, base));
  await attempt(report, ['metrics-private'], () => checkMetrics(report, base));
  await attempt(report, ['rate-limits', 'trust-proxy'], () => checkTrust(report, base, config));
}

/** Another program answers 200 as well: the welcome page of an edge, the page of an app. */
function failureOf({ status, text }: Response): string | undefined {
  if (status !== 200) return `status ${status}`;
  return typeof members(text)['draining'] === 'boolean'
    ? undefined
    : 'not the answer of this service';
}

/** One broken connection costs its own checks alone. */
async function attempt(
  report: Report,
  checks: readonly Check[],
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    for (const check of checks) skip(report, check, `no answer: ${messageOf(error)}`);
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

async function checkMetrics(report: Report, base: string): Promise<void> {
  const answer = await ask(`${base}/metrics`).catch((error: NodeJS.ErrnoException) => {
    // An edge may refuse by closing the connection (return 444 of NGINX).
    if (error.code === 'ECONNRESET') return undefined;
    throw error;
  });
  record(
    report,
    'metrics-private',
    answer?.status === 200 &&
      /^process_cpu_/m.test(answer.text) && {
        severity: 'fault',
        seen: `${base}/metrics is public`,
        means: 'Everybody sees traffic, failed logins and versions.',
        fix: 'Lead no path of the edge to OPS_PORT.',
      },
  );
}

function tlsFinding(base: string, ready: Response): Omit<Finding, 'check'> | false {
  const { protocol, hostname } = new URL(base);
  if (protocol === 'http:')
    return (
      !isLoopback(hostname) && {
        severity: 'fault',
        seen: `${base} is not encrypted`,
        means: 'Passwords and tokens pass in the clear.',
        fix: 'TLS at the edge, and a redirect from http (nginx/tls).',
      }
    );
  return (
    ready.headers['strict-transport-security'] === undefined && {
      severity: 'warning',
      seen: 'no Strict-Transport-Security',
      means: 'The first request of a browser may be made in the clear.',
      fix: 'The service sends it; the edge must pass it or set it.',
    }
  );
}

/** Loopback addresses are one host; another port is another service. */
function sameBase(one: string, other: string): boolean {
  const [a, b] = [new URL(one), new URL(other)];
  const host = ({ hostname }: URL) => (isLoopback(hostname) ? 'loopback' : hostname);
  return a.protocol === b.protocol && host(a) === host(b) && a.port === b.port;
}

async function checkPublicUrl(report: Report, base: string): Promise<void> {
  const { status, text } = await ask(`${base}${METADATA}`);
  const { jwks_uri: keys } = members(text);
  if (status !== 200 || typeof keys !== 'string' || !URL.canParse(keys))
    return skip(report, 'public-url', `no metadata at ${METADATA} (status ${status})`);
  const publicUrl = keys.replace(LIMITED, '');
  record(
    report,
    'public-url',
    !sameBase(publicUrl, base) && {
      severity: 'fault',
      seen: `PUBLIC_URL is ${publicUrl}, clients use ${base}`,
      means: 'Links in mails, metadata and redirects lead elsewhere.',
      fix: `PUBLIC_URL=${base}; the issuer of tokens follows unless TOKEN_ISSUER is set.`,
    },
  );
}

/** The pseudonym under which the service counts the client (RateLimit-Policy, `pk`). */
async function clientKeyOf(
  base: string,
  forged?: string,
  from?: string,
): Promise<string | undefined> {
  const headers: Record<string, string> =
    forged === undefined
      ? {}
      : { 'x-forwarded-for': forged, 'x-real-ip': forged, forwarded: `for=${forged}` };
  const answer = await ask(`${base}${LIMITED}`, {
    headers,
    ...(from === undefined ? {} : { from }),
  });
  return /pk=:([^:]+):/.exec(String(answer.headers['ratelimit-policy'] ?? ''))?.[1];
}

async function checkTrust(report: Report, base: string, config: Config | undefined): Promise<void> {
  const own = await clientKeyOf(base);
  if (own === undefined) {
    record(report, 'rate-limits', {
      severity: 'fault',
      seen: 'responses have no RateLimit headers',
      means: 'RATE_LIMIT=false, or the edge removes them: one client can use up all workers.',
      fix: 'RATE_LIMIT=true, and pass RateLimit and RateLimit-Policy.',
    });
    return skip(report, 'trust-proxy', 'the service does not say whom it counts');
  }
  await attempt(report, ['trust-proxy'], () => checkForged(report, base, own, config));
}

async function checkForged(
  report: Report,
  base: string,
  own: string,
  config: Config | undefined,
): Promise<void> {
  const forged = new Set<string | undefined>();
  for (const address of FORGED) forged.add(await clientKeyOf(base, address));
  const believes = forged.size > 1 || !forged.has(own);
  record(
    report,
    'trust-proxy',
    believes
      ? {
          severity: 'fault',
          seen: 'a forged X-Forwarded-For makes another client of the same one',
          means: 'Rate limits, the login guard and the audit log believe any address.',
          fix: 'TRUST_PROXY must be the number of proxies in front, no more; the first of them must replace X-Forwarded-For.',
        }
      : await ignoredProxy(base, own, config),
  );
}

/** Whether the service takes the edge for the client. */
async function ignoredProxy(
  base: string,
  own: string,
  config: Config | undefined,
): Promise<Omit<Finding, 'check'> | false> {
  const { hostname, port } = new URL(base);
  const isHere = hostname === 'localhost' || hostname === '127.0.0.1';
  // Two addresses of this machine must be two clients.
  const isTold =
    config?.server.trustProxy === false && port !== '' && Number(port) !== config.server.port;
  // There is no second one on macOS, nor where localhost is ::1: the check is skipped then.
  const isOne = !isTold && isHere && (await clientKeyOf(base, undefined, '127.0.0.2')) === own;
  return (
    (isOne || isTold) && {
      severity: 'fault',
      seen: 'all clients behind the edge count as one',
      means: 'They share one rate limit and one login guard; the audit log shows the edge.',
      fix: 'TRUST_PROXY=1 behind one proxy (or the proxies’ addresses); the edge must send X-Forwarded-For.',
    }
  );
}
