import { atMost, type Check, fault } from './check';
import { readRedisUrls } from './connections';

/** Of MongoDB, Redis and the cache between them. */
export const storeChecks: readonly Check[] = [
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

const redisOf = (url: string | undefined) => (url === undefined ? undefined : readRedisUrls(url));
