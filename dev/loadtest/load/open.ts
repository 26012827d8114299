import { seededRandom } from '../../../bench/stats';
import { type Connection, dial } from './connection';
import { createQueue } from './queue';
import { type Recorder, SILENT } from './recorder';
import type { Outgoing, Source } from './source';

export interface OpenOptions {
  readonly url: string;
  /** Requests a second, as a Poisson process: arrivals do not wait for answers. */
  readonly rate: number;
  readonly maxConnections: number;
  readonly seconds: number;
  readonly timeoutSeconds: number;
  readonly seed: number;
  readonly next: Source;
  readonly recorder: Recorder;
  readonly signal: AbortSignal;
}

interface InFlight {
  readonly outgoing: Outgoing;
  readonly dueMs: number;
}

/** Wait before a connection is opened after one was lost, so that a dead target is not flooded. */
const REDIAL_MS = 100;

/**
 * A latency counts from the moment that its request was due, also when every connection was in use
 * then, and after a pause of this process. `backlog`: due and not sent.
 */
export function createOpenLoop(options: OpenOptions): { run(): Promise<void>; backlog(): number } {
  const { recorder, next, maxConnections, signal } = options;
  const target = new URL(options.url);
  const timeoutMs = options.timeoutSeconds * 1000;
  const waiting = createQueue<InFlight>();
  const idle: Connection[] = [];
  const inFlight = new Map<Connection, InFlight>();
  let open = 0;
  let redialFromMs = 0;

  function send(connection: Connection, one: InFlight): void {
    inFlight.set(connection, one);
    connection.send(one.outgoing.bytes);
  }

  function fail({ outgoing }: InFlight, reason: string): void {
    recorder.failed(outgoing.kind, reason);
    outgoing.answered?.(undefined, '');
  }

  /** The next due request that is not too late for an answer. */
  function takeWaiting(nowMs: number): InFlight | undefined {
    for (;;) {
      const one = waiting.take();
      if (one === undefined || nowMs - one.dueMs < timeoutMs) return one;
      fail(one, 'not sent in time');
    }
  }

  const events = {
    answered(connection: Connection, status: number, body: string) {
      const one = inFlight.get(connection);
      if (one === undefined) return;
      inFlight.delete(connection);
      const nowMs = performance.now();
      recorder.answered(one.outgoing.kind, status, nowMs - one.dueMs);
      one.outgoing.answered?.(status, body);
      idle.push(connection);
    },
    lost(connection: Connection) {
      const one = inFlight.get(connection);
      inFlight.delete(connection);
      const index = idle.indexOf(connection);
      if (index >= 0) idle.splice(index, 1);
      open -= 1;
      if (one === undefined) return;
      redialFromMs = performance.now() + REDIAL_MS;
      fail(one, 'connection lost');
    },
  };

  function sendWaiting(nowMs: number): void {
    while (waiting.size() > 0) {
      const mayDial = open < maxConnections && nowMs >= redialFromMs;
      if (idle.length === 0 && !mayDial) return;
      const one = takeWaiting(nowMs);
      if (one === undefined) return;
      // In turn, so that none is idle for so long that the server closes it.
      let connection = idle.shift();
      if (connection === undefined) {
        connection = dial(target, events);
        open += 1;
      }
      send(connection, one);
    }
  }

  function endTimeouts(nowMs: number): void {
    for (const [connection, one] of inFlight) {
      if (nowMs - one.dueMs < timeoutMs) continue;
      inFlight.delete(connection);
      open -= 1;
      connection.close();
      fail(one, 'timeout');
    }
  }

  function end(): void {
    for (const connection of [...idle, ...inFlight.keys()]) connection.close();
    // What Ctrl-C cuts off might have been answered.
    if (signal.aborted && signal.reason !== SILENT) return;
    const [sent, unsent] = signal.aborted ? [SILENT, SILENT] : ['timeout', 'not sent in time'];
    for (const one of inFlight.values()) fail(one, sent);
    for (let one = waiting.take(); one !== undefined; one = waiting.take()) fail(one, unsent);
  }

  async function run(): Promise<void> {
    const arrivals = createArrivals(options);
    const isDone = (nowMs: number) =>
      nowMs >= arrivals.endMs && waiting.size() === 0 && inFlight.size === 0;
    let sweptMs = 0;
    while (!signal.aborted) {
      const nowMs = performance.now();
      for (const dueMs of arrivals.until(nowMs)) waiting.put({ outgoing: next(), dueMs });
      sendWaiting(nowMs);
      if (nowMs - sweptMs > 100) {
        endTimeouts(nowMs);
        sweptMs = nowMs;
      }
      if (isDone(nowMs) || nowMs >= arrivals.endMs + timeoutMs) break;
      // No busy wait: the target may need this processor. A late timer counts in the latency.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    end();
  }
  return { run, backlog: waiting.size };
}

/** The times at which requests are due, from now on: a Poisson process. */
function createArrivals({ rate, seconds, seed }: OpenOptions) {
  const random = seededRandom(7919 + seed);
  const gapMs = () => (-Math.log(1 - random()) * 1000) / rate;
  const endMs = performance.now() + seconds * 1000;
  let dueMs = performance.now() + gapMs();
  return {
    endMs,
    *until(nowMs: number): Generator<number> {
      while (dueMs <= Math.min(nowMs, endMs)) {
        yield dueMs;
        dueMs += gapMs();
      }
    },
  };
}
