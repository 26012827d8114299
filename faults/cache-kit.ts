import { randomBytes } from 'node:crypto';
import { type Checked, check, type RecordedHistory } from '../tests/support/cache-history';
import { freePort, type RealRedis, redisAvailable, startRedis } from '../tests/support/cache-redis';
import type { ServiceProcess } from '../tests/support/service';
import { type Load, type PlannedRequest, type RequestRecord, startLoad } from './load';
import { pause, withRealService } from './process-kit';
import { SkipScenario } from './scenario';
import { quantile } from './summary';
import { registerUser } from './users';

export const WORKERS = 4;

export interface CacheStage {
  readonly service: ServiceProcess;
  readonly redis: RealRedis;
  readonly users: readonly StageUser[];
  /** Sum over all workers of one metric. */
  metric(name: string): Promise<number>;
}

export interface StageUser {
  readonly token: string;
  readonly id: string;
  readonly email: string;
}

/** The service with four workers and its own database and Redis. */
export async function withCacheStage<T>(
  env: Record<string, string>,
  use: (stage: CacheStage) => Promise<T>,
): Promise<T> {
  if (!redisAvailable()) throw new SkipScenario('redis-server is not installed');
  const [redis, opsPort] = await Promise.all([startRedis(), freePort()]);
  const settings = {
    REDIS_URL: redis.url,
    WORKERS: String(WORKERS),
    OPS_PORT: String(opsPort),
    JWT_SECRET: randomBytes(36).toString('base64'),
    ACCESS_LOG: 'false',
    LOG_LEVEL: 'info',
    ...env,
  };
  try {
    return await withRealService(settings, async (service) => {
      const users = await registerUsers(service.url, 40);
      return use({ service, redis, users, metric: (name) => readMetric(opsPort, name) });
    });
  } finally {
    await redis.stop();
  }
}

async function registerUsers(url: string, count: number): Promise<StageUser[]> {
  const one = async (n: number): Promise<StageUser> => {
    const email = `user${n}@example.com`;
    const { access_token, user } = await registerUser(url, `User ${n}`, email);
    return { token: access_token, id: user.id, email };
  };
  return Promise.all(Array.from({ length: count }, (_, n) => one(n)));
}

async function readMetric(port: number, name: string): Promise<number> {
  try {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Number(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  } catch {
    return Number.NaN;
  }
}

/** Reads and writes of all users in turn: `readsPerWrite` reads to one write. */
export function mixOf(
  users: readonly StageUser[],
  readsPerWrite: number,
): (n: number) => PlannedRequest & { user: number } {
  return (n) => {
    const user = n % users.length;
    const { token, id, email } = users[user] as StageUser;
    const headers = { authorization: `Bearer ${token}` };
    const write = Math.floor(n / users.length) % (readsPerWrite + 1) === user % (readsPerWrite + 1);
    if (!write) return { user, method: 'GET', path: `/api/users/${id}`, headers, tag: 'read' };
    return {
      user,
      method: 'PUT',
      path: `/api/users/${id}`,
      headers,
      body: JSON.stringify({ name: `Name ${n}`, email }),
      tag: 'write',
    };
  };
}

/**
 * A load whose every answer is kept with the revision that its ETag names, for the check of the
 * claim.
 */
export function startCheckedLoad(
  stage: CacheStage,
  ratePerSecond: number,
  readsPerWrite = 3,
): Load & { verdict(): Checked } {
  const mix = mixOf(stage.users, readsPerWrite);
  const reads: number[] = [];
  const writes: number[] = [];
  const load = startLoad({
    targets: [stage.service.url],
    ratePerSecond,
    connections: 500,
    timeoutMs: 8000,
    request: mix,
    onAnswer(record, _body, headers) {
      if (record.status !== 200) return;
      const version = Number(/\d+/.exec(headers.etag ?? '')?.[0] ?? Number.NaN);
      const user = record.n % stage.users.length;
      if (record.tag === 'read') reads.push(user, record.sentMs ?? 0, 0, version);
      else writes.push(user, record.answeredMs ?? 0, 0, version);
    },
  });
  return {
    get records() {
      return load.records;
    },
    elapsedMs: load.elapsedMs,
    stop: load.stop,
    verdict() {
      const history: RecordedHistory = {
        reads: Float64Array.from(reads),
        writes: Float64Array.from(writes),
        failedReads: 0,
        failedWrites: 0,
      };
      return check([history], stage.users.length);
    },
  };
}

/** Only 200 counts as success: a 4xx during a fault is as wrong as no response. */
export const succeeded = (record: RequestRecord): boolean => record.status === 200;

export function latencyOf(
  records: readonly RequestRecord[],
  tag: string,
  fromMs: number,
  toMs: number,
  q: number,
): number {
  const chosen = records.filter(
    (one) => one.tag === tag && one.plannedMs >= fromMs && one.plannedMs < toMs && succeeded(one),
  );
  return quantile(
    chosen.map((one) => (one.answeredMs ?? 0) - one.plannedMs).sort((a, b) => a - b),
    q,
  );
}

/** Polls a metric until stopped; resolves with the greatest value. */
export function watchMetric(stage: CacheStage, name: string): { stop(): Promise<number> } {
  let on = true;
  const watching = (async () => {
    let greatest = 0;
    while (on) {
      const value = await stage.metric(name);
      if (value > greatest) greatest = value;
      await pause(200);
    }
    return greatest;
  })();
  return {
    stop() {
      on = false;
      return watching;
    },
  };
}

/**
 * Ms until every worker reads Redis entries and at least one hit occurred; -1 after 20 s.
 */
export async function cacheBackMs(stage: CacheStage): Promise<number> {
  const from = performance.now();
  const before = await stage.metric('cache_redis_hits_total');
  while (performance.now() - from < 20_000) {
    const [inUse, hits] = await Promise.all([
      stage.metric('cache_redis_entries_in_use'),
      stage.metric('cache_redis_hits_total'),
    ]);
    if (inUse === WORKERS && hits > before) return Math.round(performance.now() - from);
    await pause(50);
  }
  return -1;
}
