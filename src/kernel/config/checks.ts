import { auth as authSettings } from './auth';
import { cache as cacheSettings } from './cache';
import { type Check, fault } from './check';
import { credentialChecks } from './checks-credentials';
import { productionChecks } from './checks-production';
import { readRedisUrls } from './connections';
import { passkeyChecks } from './relying-party';
import { sessions as sessionSettings } from './sessions';
import type { Setting } from './setting';
import type { Config, Fault } from './settings';
import { isSafeForCredentials, mayBeSameSite } from './urls';

/** `env` must be at most the value of `other`; the message names both. */
const atMost = (
  env: string,
  value: number,
  other: string,
  limit: number,
  why: string,
): Fault | undefined =>
  fault(value > limit, env, () => `must be at most ${other} (${limit}): ${why}; it is ${value}`);

const moduleChecks: readonly Check[] = [
  ({ server, auth }) =>
    fault(
      lacksAuth(server) && auth.jwksUrl === undefined,
      'JWKS_URL',
      () =>
        'must be set where MODULES does not name auth: access tokens are verified with the published keys of a process that serves auth, e.g. http://127.0.0.1:3000/.well-known/jwks.json',
    ),
  ({ server, auth }) =>
    fault(
      server.modules !== undefined && !lacksAuth(server) && auth.jwksUrl !== undefined,
      'JWKS_URL',
      () => 'must not be set where MODULES names auth: this process has the keys itself',
    ),
  ({ auth }) =>
    fault(
      auth.jwksUrl !== undefined && !isSafeForCredentials(auth.jwksUrl),
      'JWKS_URL',
      () => 'must be https, or on this host: anyone on the way could replace the keys',
    ),
  ({ server, auth }) =>
    fault(
      lacksAuth(server) && auth.jwtSecret !== undefined,
      'JWT_SECRET',
      () =>
        'must not be set where MODULES does not name auth: a shared secret has no published keys',
    ),
];

const federationChecks: readonly Check[] = [
  ({ federation: { providers, redirectUrls } }) =>
    fault(
      providers !== undefined && providers.length > 0 && redirectUrls?.length === 0,
      'OIDC_REDIRECT_URLS',
      () => 'must be set with OIDC_PROVIDERS: the pages to which a sign-in may return',
    ),
];

const lacksAuth = ({ modules }: Config['server']) =>
  modules !== undefined && !modules.includes('auth');

const storeChecks: readonly Check[] = [
  ({ server, database }) =>
    fault(
      server.environment !== 'production' &&
        database.uri === undefined &&
        database.embedded === 'off',
      'MONGODB_URI',
      () => 'must be set when EMBEDDED_DB=off',
    ),
  // Redis starts the TTL of the writer's entry at some time within the command that creates it. A
  // write's deadline is one operation plus 100 ms.
  ({ cache, database }) => {
    const commitMs = Math.max(
      database.operationTimeoutMs * 2,
      database.operationTimeoutMs + 100 + cache.redisCommandTimeoutMs,
    );
    return fault(
      commitMs >= cache.writerTtlMs,
      'CACHE_WRITER_TTL_MS',
      () =>
        `must be more than ${commitMs}, the greater of twice DB_OPERATION_TIMEOUT_MS (${database.operationTimeoutMs}) and DB_OPERATION_TIMEOUT_MS + REDIS_COMMAND_TIMEOUT_MS (${cache.redisCommandTimeoutMs}) + 100: a commit must end before its writer's entry expires`,
    );
  },
  ({ cache, server }) =>
    fault(
      cache.nearTtlMs >= server.drainTimeoutMs,
      'NEAR_CACHE_TTL_MS',
      () =>
        `must be less than DRAIN_TIMEOUT_MS (${server.drainTimeoutMs}): every write waits this long, and a shutdown would interrupt it`,
    ),
  ({ cache, database, server }) =>
    fault(
      cache.nearTtlMs + database.operationTimeoutMs >= server.socketTimeoutMs,
      'SOCKET_TIMEOUT_MS',
      () =>
        `must be more than NEAR_CACHE_TTL_MS (${cache.nearTtlMs}) + DB_OPERATION_TIMEOUT_MS (${database.operationTimeoutMs}): the connection would close before the response to a write`,
    ),
  ({ database }) =>
    atMost(
      'DB_POOL_MIN',
      database.poolMin,
      'DB_POOL_MAX',
      database.poolMax,
      'the pool cannot hold more connections',
    ),
  ({ database, cluster }) =>
    fault(
      database.connectWaitMs + database.serverSelectionTimeoutMs >= cluster.readyTimeoutMs,
      'DB_CONNECT_WAIT_MS',
      () =>
        `plus DB_SERVER_SELECTION_TIMEOUT_MS (${database.serverSelectionTimeoutMs}) must be less than WORKER_READY_TIMEOUT_MS (${cluster.readyTimeoutMs}), or workers that wait for the database are killed; it is ${database.connectWaitMs}`,
    ),
  ({ cache }) =>
    fault(
      cache.redisMode !== 'single' && cache.redisUrl === undefined,
      'REDIS_URL',
      () => `must be set when REDIS_MODE=${cache.redisMode}`,
    ),
  ({ cache, events }) =>
    fault(
      events.redisStream === true && cache.redisUrl === undefined,
      'REDIS_URL',
      () => 'must be set when EVENTS_REDIS_STREAM=true',
    ),
  ({ cache }) =>
    fault(
      cache.redisMode !== 'sentinel' && cache.sentinelPassword !== undefined,
      'REDIS_SENTINEL_PASSWORD',
      () => 'must be unset unless REDIS_MODE=sentinel',
    ),
  ({ cache }) =>
    fault(
      cache.redisMode === 'single' && (redisOf(cache.redisUrl)?.hosts.length ?? 0) > 1,
      'REDIS_MODE',
      () =>
        'must be sentinel or cluster when REDIS_URL names several hosts: REDIS_MODE=single would use only the first',
    ),
  ({ cache }) =>
    fault(
      cache.redisMode === 'cluster' && (redisOf(cache.redisUrl)?.database ?? 0) > 0,
      'REDIS_URL',
      () => 'must not name a database when REDIS_MODE=cluster: a cluster has only database 0',
    ),
];

/** A default gives way to a shorter limit that was set: it is no contradiction. */
const unlessDefault = (value: number, { fallback }: Setting<number>): number =>
  String(value) === fallback ? 0 : value;

const lifetimeChecks: readonly Check[] = [
  ({ sessions }) =>
    atMost(
      'SESSION_IDLE_TTL_SECONDS',
      unlessDefault(sessions.idleTtlSeconds, sessionSettings.idleTtlSeconds),
      'SESSION_MAX_TTL_SECONDS',
      sessions.maxTtlSeconds,
      'no session lives longer',
    ),
  ({ auth, sessions }) =>
    atMost(
      'ACCESS_TOKEN_TTL_SECONDS',
      unlessDefault(auth.accessTokenTtlSeconds, authSettings.accessTokenTtlSeconds),
      'SESSION_MAX_TTL_SECONDS',
      sessions.maxTtlSeconds,
      'a token would outlive its session',
    ),
  ({ cache }) =>
    atMost(
      'CACHE_NEGATIVE_TTL_SECONDS',
      unlessDefault(cache.negativeTtlSeconds, cacheSettings.negativeTtlSeconds),
      'CACHE_TTL_SECONDS',
      cache.ttlSeconds,
      'negative entries must not outlive positive ones',
    ),
];

const DAY_SECONDS = 86_400;

/** The log has an event for as long as it may have to be sent again. */
const eventChecks: readonly Check[] = [
  ({ events, webhooks }) =>
    fault(
      retryDays(webhooks) > events.keepDays,
      'EVENTS_KEEP_DAYS',
      () =>
        `must be at least ${Math.ceil(retryDays(webhooks))}, the sum of WEBHOOKS_RETRY_SECONDS in days: an event would expire before the last attempts to deliver it; it is ${events.keepDays}`,
    ),
  ({ events, webhooks }) =>
    fault(
      webhooks.disableAfterDays > events.keepDays,
      'EVENTS_KEEP_DAYS',
      () =>
        `must be at least WEBHOOKS_DISABLE_AFTER_DAYS (${webhooks.disableAfterDays}): events for a receiver that is away would expire while it is still waited for; it is ${events.keepDays}`,
    ),
];

const retryDays = ({ retrySeconds }: Config['webhooks']) =>
  (retrySeconds ?? []).reduce((sum, one) => sum + one, 0) / DAY_SECONDS;

const redisOf = (url: string | undefined) => (url === undefined ? undefined : readRedisUrls(url));

const processChecks: readonly Check[] = [
  ({ server }) =>
    atMost(
      'HEADERS_TIMEOUT_MS',
      server.headersTimeoutMs,
      'REQUEST_TIMEOUT_MS',
      server.requestTimeoutMs,
      'the headers are part of the request',
    ),
  ({ server }) =>
    atMost(
      'DRAIN_TIMEOUT_MS',
      server.drainTimeoutMs,
      'SHUTDOWN_DEADLINE_MS',
      server.shutdownDeadlineMs,
      'the drain is part of the shutdown',
    ),
  ({ server }) =>
    fault(
      server.opsPort !== 0 &&
        server.opsPort === server.port &&
        overlap(server.opsHost, server.host),
      'OPS_PORT',
      () => `must differ from PORT (${server.port}), or be 0 to disable metrics`,
    ),
  ({ cluster }) =>
    fault(
      cluster.stallMs < cluster.heartbeatMs * 4,
      'WORKER_STALL_MS',
      () =>
        `must be at least four times WORKER_HEARTBEAT_MS (${cluster.heartbeatMs}), or healthy workers count as unresponsive; it is ${cluster.stallMs}`,
    ),
  ({ cluster }) =>
    atMost(
      'RESTART_BACKOFF_BASE_MS',
      cluster.restartBaseMs,
      'RESTART_BACKOFF_MAX_MS',
      cluster.restartMaxMs,
      'the first backoff is the shortest',
    ),
];

const isWildcard = (host: string) => host === '0.0.0.0' || host === '::';
const overlap = (a: string, b: string) => {
  const [one, other] = [a, b].map((host) =>
    host === 'localhost' ? '127.0.0.1' : host.toLowerCase(),
  );
  return one === other || isWildcard(a) || isWildcard(b);
};

/** A browser sends and accepts the cookie only where the page and the service are of one site. */
const browserChecks: readonly Check[] = [
  ({ server, browser }) => {
    const { publicUrl } = server;
    const other =
      publicUrl === undefined
        ? undefined
        : browser.origins?.find((origin) => !mayBeSameSite(origin, publicUrl));
    return fault(
      other !== undefined,
      'BROWSER_ORIGINS',
      () =>
        `must be of the same site as PUBLIC_URL (${publicUrl}), with the same scheme: browsers keep SameSite cookies from ${other}`,
    );
  },
];

const checks: readonly Check[] = [
  ...credentialChecks,
  ...passkeyChecks,
  ...moduleChecks,
  ...federationChecks,
  ...storeChecks,
  ...lifetimeChecks,
  ...eventChecks,
  ...processChecks,
  ...browserChecks,
  ...productionChecks,
];

/** At most one fault per setting: the first found. Later ones may follow from it. */
export function checkTogether(config: Config): Fault[] {
  const found = checks.map((check) => check(config)).filter((one) => one !== undefined);
  return found.filter(({ env }, i) => found.findIndex((other) => other.env === env) === i);
}
