import type { Config } from '../config';
import type { Count, Counters } from '../data/counters';
import type { Closable } from '../lifecycle';
import type { Logger } from '../observability/logger';
import type { Link } from './link';
import { openLink } from './open-link';
import { type Script, script } from './scripts';

/** KEYS counter, ARGV amount lifeMs. The life is set again each time: whatever else touched the key, it ends. */
const ADD: Script = script(
  1,
  false,
  `local total = redis.call('INCRBY', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return total`,
);

export interface RedisCountersOptions {
  readonly link: Link;
  readonly prefix: string;
  /** Counts while Redis is away. A limit then lets through at most twice its number: once here, once there. */
  readonly fallback: Counters;
  /** Wall clock, ms since the epoch: windows are the same on every host. */
  readonly now?: () => number;
}

/** The same fixed windows as those of the database (data/counters.ts), in Redis. */
export function createRedisCounters({ link, prefix, fallback, now = Date.now }: RedisCountersOptions): Counters {
  const windowOf = (key: string, windowMs: number) => {
    const index = Math.floor(now() / windowMs);
    return { name: `${prefix}:n:{${key}}:${windowMs}:${index}`, endMs: (index + 1) * windowMs };
  };
  return {
    async add(key, amount, windowMs): Promise<Count> {
      const { name, endMs } = windowOf(key, windowMs);
      if (link.identity === undefined) return fallback.add(key, amount, windowMs);
      try {
        const lifeMs = endMs - now() + 1000;
        return { total: Number(await link.run(ADD, [name], [String(amount), String(lifeMs)])), resetsAtMs: endMs };
      } catch {
        return fallback.add(key, amount, windowMs);
      }
    },
    async reset(key, windowMs) {
      const { name } = windowOf(key, windowMs);
      await Promise.all([link.send(name, ['DEL', name]).catch(() => undefined), fallback.reset(key, windowMs)]);
    },
  };
}

/** Counters in Redis when REDIS_URL is set, over a connection of their own; else `fallback` itself. */
export function startCounters(settings: Config['cache'], fallback: Counters, log: Logger): { counters: Counters } & Closable {
  if (settings.redisUrl === undefined) return { counters: fallback, close: async () => {} };
  const link = openLink(settings, { url: settings.redisUrl, log, now: () => performance.now() });
  link.start();
  return { counters: createRedisCounters({ link, prefix: settings.keyPrefix, fallback }), close: () => link.close() };
}
