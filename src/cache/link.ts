import { ErrorReply } from 'redis';
import { type Closable, TimeoutError } from '../lifecycle';
import type { Logger } from '../observability/logger';
import { createDeadlines, type Wait } from './deadlines';
import type { Script } from './scripts';
import type { RedisArgument, Topology, TopologyEvents } from './topology';

export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
}

export interface LinkStatus {
  /** Commands that Redis has not answered, timed-out ones included. */
  readonly outstanding: number;
  readonly breakerOpen: boolean;
  readonly refused: number;
  readonly timeouts: number;
}

/** One worker's connection to Redis, with everything that a client library leaves out: deadlines, a bound, a breaker. */
export interface Link extends Closable {
  start(): void;
  /** The data set behind the link (Topology.identify), or undefined while the link is not to be used. */
  readonly identity: string | undefined;
  send(key: string, args: RedisArgument[]): Promise<unknown>;
  run(script: Script, keys: readonly [string, ...string[]], args: readonly RedisArgument[]): Promise<unknown>;
  /** Resolves once the identity is known, or after `timeoutMs`. */
  settled(timeoutMs: number): Promise<void>;
  status(): LinkStatus;
}

export interface LinkOptions {
  /** Written, with a short life, to find out whether a server that refused writes takes them again. */
  readonly probeKey: string;
  readonly commandTimeoutMs: number;
  readonly queueMax: number;
  readonly log: Logger;
  readonly now: () => number;
  /** For tests of the breaker alone: never opens it. */
  readonly withoutBreaker?: boolean;
}

const PROBE_MS = 250;
const SILENT_MS = 25;
const HARD_FACTOR = 20;
const FAILURES_TO_OPEN = 3;

export function createLink(connect: (events: TopologyEvents) => Topology, options: LinkOptions): Link {
  const { probeKey, commandTimeoutMs, queueMax, log, now } = options;
  const deadlines = createDeadlines(now);
  let identity: string | undefined;
  /** Counts connections made and lost; an answer counts only when this has not moved since its command was sent. */
  let epoch = 0;
  let outstanding = 0;
  let lastReply = 0;
  let failures = 0;
  let refused = 0;
  let timeouts = 0;
  let probing: number | undefined;
  let writable = true;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let lastFault = '';
  const waiters = new Set<() => void>();

  const topology = connect({
    changed() {
      epoch += 1;
      identity = undefined;
      schedule(0);
    },
    fault(error) {
      const text = error instanceof Error ? error.message || error.name : String(error);
      if (text !== lastFault) log.warn({ err: error }, 'Redis cannot be reached: reads go to the database');
      lastFault = text;
    },
  });

  function schedule(delayMs: number): void {
    if (closed) return;
    clearTimeout(timer);
    timer = setTimeout(probe, delayMs);
  }

  /** Asks who answers. It is also what opens the link at the start, closes the breaker again, and sees a master demoted. */
  function probe(): void {
    if (closed) return;
    schedule(PROBE_MS);
    if (probing !== undefined) {
      if (now() - probing > commandTimeoutMs + PROBE_MS) lost(new TimeoutError('Redis has not said who it is'));
      return;
    }
    if (!topology.connected) return;
    probing = now();
    const asked = epoch;
    const answer = writable ? topology.identify() : topology.tryWrite(probeKey).then(() => topology.identify());
    answer
      .then(
        (found) => asked === epoch && confirmed(found),
        (error: unknown) => asked === epoch && lost(error),
      )
      .finally(() => {
        probing = undefined;
      });
  }

  /** The breaker opens. The probe closes it. */
  function lost(error: unknown): void {
    if (identity === undefined || options.withoutBreaker === true) return;
    log.warn({ err: error }, 'Redis does not answer: reads go to the database');
    identity = undefined;
  }

  function confirmed(found: string): void {
    failures = 0;
    writable = true;
    lastFault = '';
    if (identity === found) return;
    log.info({ dataset: found }, 'Redis is in use');
    identity = found;
    for (const wake of waiters) wake();
    waiters.clear();
  }

  function failed(error: Error): void {
    failures += 1;
    if (failures >= FAILURES_TO_OPEN) lost(error);
  }

  /** While answers keep coming the bound is generous; as soon as they do not, only `queueMax` may wait. */
  function full(): boolean {
    if (outstanding < queueMax) return false;
    const oldest = deadlines.oldest();
    if (oldest === undefined || outstanding >= queueMax * HARD_FACTOR) return true;
    return now() - Math.max(lastReply, oldest - commandTimeoutMs) > SILENT_MS;
  }

  function send(key: string, args: RedisArgument[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (identity === undefined || full()) {
        refused += 1;
        reject(new UnavailableError(identity === undefined ? 'Redis is not in use' : 'too many commands wait for Redis'));
        return;
      }
      const sentIn = epoch;
      const wait: Wait = {
        settled: false,
        deadline: now() + commandTimeoutMs,
        expire() {
          timeouts += 1;
          const error = new TimeoutError(`Redis did not answer within ${commandTimeoutMs} ms`);
          if (sentIn === epoch) failed(error);
          reject(error);
        },
      };
      outstanding += 1;
      deadlines.add(wait);
      topology.send(key, args).then(
        (reply) => {
          outstanding -= 1;
          lastReply = now();
          if (wait.settled) return;
          wait.settled = true;
          failures = 0;
          if (sentIn === epoch) resolve(reply);
          else reject(new UnavailableError('the connection to Redis changed meanwhile'));
        },
        (error: unknown) => {
          outstanding -= 1;
          if (wait.settled) return;
          wait.settled = true;
          reject(error);
        },
      );
    });
  }

  async function run(script: Script, keys: readonly [string, ...string[]], args: readonly RedisArgument[]): Promise<unknown> {
    try {
      return await send(keys[0], ['EVALSHA', script.sha, script.keys, ...keys, ...args]);
    } catch (error) {
      if (!(error instanceof ErrorReply)) throw error;
      if (error.message.startsWith('NOSCRIPT')) return send(keys[0], ['EVAL', script.text, script.keys, ...keys, ...args]);
      if (script.vital) refusesWrites(error);
      throw error;
    }
  }

  /** It answers, yet takes no writes (read-only, too few replicas, disk full, …): of no use until the probe can write. */
  function refusesWrites(error: Error): void {
    if (identity !== undefined) log.warn({ err: error }, 'Redis refuses writes: reads go to the database');
    identity = undefined;
    writable = false;
  }

  return {
    start() {
      topology.start();
      schedule(0);
    },
    get identity() {
      return identity;
    },
    send,
    run,
    settled: (timeoutMs) =>
      new Promise((resolve) => {
        if (identity !== undefined) return resolve();
        const done = (): void => {
          clearTimeout(giveUp);
          waiters.delete(done);
          resolve();
        };
        const giveUp = setTimeout(done, timeoutMs);
        waiters.add(done);
      }),
    status: () => ({ outstanding, breakerOpen: identity === undefined, refused, timeouts }),
    async close() {
      closed = true;
      identity = undefined;
      clearTimeout(timer);
      deadlines.close();
      await topology.close();
    },
  };
}
