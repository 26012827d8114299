import type { Closable } from '../../kernel/lifecycle';
import type { EventLog, LoggedEvent } from '../../platform/event-log/event-log';
import type { Locks } from '../../platform/mongo/locks';
import { inTurns, type Turn } from '../../platform/mongo/turns';
import type { RedisConnection } from '../../platform/redis/connection';
import { defineScript } from '../../platform/redis/script';
import type { Logger } from '../../platform/telemetry/logger';
import { viewOfEvent } from './contract';
import type { Tail } from './tail';

/** Where events are published in Redis, besides the log. */
export interface RedisStream {
  readonly redis: RedisConnection;
  readonly key: string;
  /** Redis removes older entries, some later than others. */
  readonly maxLength: number;
}

export interface RedisStreamOptions extends RedisStream {
  readonly eventLog: EventLog;
  readonly tail: Tail;
  readonly locks: Pick<Locks, 'withLock'>;
  readonly log: Logger;
  readonly issuer: string;
}

/**
 * KEYS stream, ARGV maxLength expected, then sequence id type event for each entry. Appends them
 * only where `expected` is the last sequence of the stream: entries whose predecessors are missing
 * would be a gap. Answers the last sequence before, and the id of the last entry's event.
 */
const APPEND = defineScript(
  1,
  false,
  `local last, id = '0', ''
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = string.match(info[i + 1], '^%d+') end
  end
  local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  if newest and newest[1] == last .. '-0' and newest[2][1] == 'id' then id = newest[2][2] end
end
if ARGV[2] ~= last then return {last, id} end
for i = 3, #ARGV, 4 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], ARGV[i] .. '-0',
    'id', ARGV[i + 1], 'type', ARGV[i + 2], 'event', ARGV[i + 3])
end
return {last, id}`,
);
/** No sequence: such a call only looks. */
const LOOK = '';

const READ_MAX = 200;
const WAIT_MS = 250;

/**
 * Copies the log to a stream of Redis, in one process of the deployment at a time. The position is
 * that of the stream itself, read before each turn: a Redis that was away, or that lost its newest
 * entries in a failover, gets what it lacks. The lock only saves work (APPEND).
 */
export function startRedisStream(options: RedisStreamOptions): Closable {
  const { redis, key, maxLength, eventLog, tail, locks, log, issuer } = options;
  /** Why the last attempt failed; each reason is told once. */
  let failure: string | undefined;

  async function append(expected: string, events: readonly LoggedEvent[]) {
    const entries = events.flatMap((event) => [
      ...[String(event.sequence), event.id, event.type],
      JSON.stringify(viewOfEvent(issuer, event)),
    ]);
    const reply = await redis.run(APPEND, [key], [String(maxLength), expected, ...entries]);
    const [last, id] = (reply as unknown[]).map(String);
    return { last: Number(last), id };
  }

  /** The sequence to go on after, and that of the stream: 0 where it is new. */
  async function position(): Promise<{ after: number; expected: number }> {
    const { last, id } = await append(LOOK, []);
    const [oldest, latest] = [await eventLog.oldest(), await eventLog.reached()];
    if (last === 0) return { after: Math.max(oldest - 1, latest - maxLength), expected: 0 };
    const [known] = id === '' ? [] : await eventLog.read(last - 1, { limit: 1, upTo: last });
    if (last > latest || (known !== undefined && known.id !== id))
      throw new Error(`the stream ${key} has events of another log: delete it`);
    return { after: last, expected: last };
  }

  async function work({ isOver, leftMs }: Turn): Promise<void> {
    await redis.settled(leftMs());
    let { after, expected } = await position();
    while (!isOver()) {
      const events = await eventLog.read(after, { limit: READ_MAX });
      const [first] = events;
      if (first === undefined) {
        await tail.hasAfter(after, WAIT_MS);
        continue;
      }
      if (first.sequence > after + 1)
        log.warn({ after, next: first.sequence }, 'events expired before they were published');
      // Another process was faster, or Redis is not the one that it was: the next turn looks again.
      if ((await append(String(expected), events)).last !== expected) break;
      after = events.at(-1)?.sequence ?? after;
      expected = after;
    }
    if (failure !== undefined) log.info('events published to Redis again');
    failure = undefined;
  }

  return inTurns({
    ...{ name: 'event-stream', locks, work },
    failed: (error) => {
      const reason = String(error);
      if (failure === reason) return;
      failure = reason;
      log.warn({ err: error }, 'events not published to Redis');
    },
  });
}
