import { randomUUID } from 'node:crypto';
import type { Config } from '../../kernel/config/config';
import type { Closable } from '../../kernel/lifecycle';
import type { Digest } from '../cache/key-digest';
import type { RedisConnection } from '../redis/connection';
import { openRedisConnection } from '../redis/open-connection';
import { defineScript } from '../redis/script';
import type { Logger } from '../telemetry/logger';
import type { Tracing } from '../telemetry/tracing';
import {
  type AttemptCounters,
  type AttemptLimit,
  type Count,
  counterWindow,
  RESERVED_MS,
  type Reservation,
} from './counters';

/**
 * KEYS counter, ARGV amount lifeMs. The TTL is set each time, so that the key expires whatever else
 * changed it.
 */
const ADD = defineScript(
  1,
  false,
  `local total = redis.call('INCRBY', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return total`,
);

/**
 * KEYS counter reserved, ARGV nowMs limit mark reservedMs. Reservations are a sorted set of marks
 * by their expiry.
 */
const RESERVE = defineScript(
  2,
  false,
  `redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])
local left = ARGV[2] - (redis.call('GET', KEYS[1]) or 0)
if left <= 0 then return 'spent' end
if redis.call('ZCARD', KEYS[2]) >= left then return 'busy' end
redis.call('ZADD', KEYS[2], ARGV[1] + ARGV[4], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 'reserved'`,
);

/** KEYS counter reserved, ARGV mark failures lifeMs. */
const SETTLE = defineScript(
  2,
  false,
  `redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[2] == '0' then return 0 end
local total = redis.call('INCRBY', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return total`,
);

interface RedisCountersOptions {
  readonly redis: RedisConnection;
  readonly prefix: string;
  /** Keys contain client addresses, which must not show in Redis. */
  readonly digest: Digest;
  /**
   * Counts while Redis is unreachable. A limit then allows at most twice its number: once here,
   * once there.
   */
  readonly fallback: AttemptCounters;
  /** The database's time, ms since the epoch: windows are the same on every host. */
  readonly now: () => number;
}

const STATES = ['reserved', 'busy', 'spent'] as const;

/** The same fixed windows as those in MongoDB (mongo-counters.ts), in Redis. */
function createRedisCounters({
  redis,
  prefix,
  digest,
  fallback,
  now,
}: RedisCountersOptions): AttemptCounters {
  const windowOf = (key: string, windowMs: number) => {
    const { index, endMs } = counterWindow(windowMs, now());
    const name = `${prefix}:n:{${digest(key)}}:${windowMs}:${index}`;
    return { name, reserved: `${name}:reserved`, endMs };
  };
  /** A counter lives one second longer than its window, since the clocks of hosts may differ. */
  const lifeMs = (endMs: number) => String(Math.max(0, endMs - now()) + 1000);

  async function reserve({ key, limit, windowMs }: AttemptLimit): Promise<Reservation> {
    const { name, reserved, endMs } = windowOf(key, windowMs);
    const mark = randomUUID();
    const reply = await redis.run(
      RESERVE,
      [name, reserved],
      [String(now()), String(limit), mark, String(RESERVED_MS)],
    );
    const state = STATES.find((one) => one === String(reply)) ?? 'busy';
    const settle = async (failures: number): Promise<void> => {
      if (state === 'reserved')
        await redis.run(SETTLE, [name, reserved], [mark, String(failures), lifeMs(endMs)]);
    };
    return {
      state,
      resetsAtMs: endMs,
      // Redis became unreachable meanwhile: the failure counts where attempts are counted now.
      fail: () => settle(1).catch(async () => void (await fallback.add(key, 1, windowMs))),
      release: () => settle(0).catch(() => undefined),
    };
  }

  return {
    async add(key, amount, windowMs): Promise<Count> {
      const { name, endMs } = windowOf(key, windowMs);
      if (redis.identity === undefined) return fallback.add(key, amount, windowMs);
      try {
        return {
          total: Number(await redis.run(ADD, [name], [String(amount), lifeMs(endMs)])),
          resetsAtMs: endMs,
        };
      } catch {
        return fallback.add(key, amount, windowMs);
      }
    },
    async reset(keys, windowMs) {
      const removed = keys.map((key) => {
        const { name, reserved } = windowOf(key, windowMs);
        return redis.send(name, ['DEL', name, reserved]).catch(() => undefined);
      });
      await Promise.all([...removed, fallback.reset(keys, windowMs)]);
    },
    async reserve(limit) {
      if (redis.identity === undefined) return fallback.reserve(limit);
      try {
        return await reserve(limit);
      } catch {
        return fallback.reserve(limit);
      }
    },
  };
}

export interface StartedCounters extends Closable {
  readonly counters: AttemptCounters;
  /** Waits at most `timeoutMs` for Redis. False: REDIS_URL is set and the fallback counts. */
  inUse(timeoutMs: number): Promise<boolean>;
}

export interface StartCountersOptions {
  readonly log: Logger;
  readonly now: () => number;
  readonly digest: Digest;
  readonly tracing?: Tracing | undefined;
}

/**
 * Counters in Redis when REDIS_URL is set, over a connection of their own; otherwise `fallback`.
 */
export function startCounters(
  settings: Config['cache'],
  fallback: AttemptCounters,
  { log, now, digest, tracing }: StartCountersOptions,
): StartedCounters {
  if (settings.redisUrl === undefined)
    return { counters: fallback, inUse: async () => true, close: async () => {} };
  const redis = openRedisConnection(settings, {
    url: settings.redisUrl,
    log,
    now: () => performance.now(),
    tracing,
  });
  redis.start();
  const inUse = async (timeoutMs: number) => {
    await redis.settled(timeoutMs);
    return redis.identity !== undefined;
  };
  return {
    counters: createRedisCounters({ redis, prefix: settings.keyPrefix, digest, fallback, now }),
    inUse,
    close: () => redis.close(),
  };
}
