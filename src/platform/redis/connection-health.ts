import { TimeoutError } from '../../kernel/lifecycle';
import type { Logger } from '../telemetry/logger';
import { type Deployment, type DeploymentEvents, MisdeliveredError } from './deployment';
import { createProbe } from './probe';
import { createReasonLog } from './reason-log';

/** Whether Redis may be used now, found out by a probe several times a second. */
export interface ConnectionHealth {
  readonly deployment: Deployment;
  /** The data set that answers; undefined: do not use Redis now (the breaker is open). */
  readonly identity: string | undefined;
  /**
   * Counts connections made and lost: a reply counts only if this is as it was when its command was
   * sent.
   */
  readonly epoch: number;
  /** Replies that belonged to another command. */
  readonly misdelivered: number;
  start(): void;
  stop(): void;
  /** A command was answered in time. */
  answered(): void;
  /** A command was not answered in time. */
  timedOut(error: Error): void;
  /** Redis answers and refuses writes: it is not used until the probe can write. */
  refusedWrite(error: Error): void;
  /** Closes the connection and opens another, after a reply that belonged to another command. */
  reset(): void;
  settled(timeoutMs: number): Promise<void>;
}

export interface ConnectionHealthOptions {
  /** Written, with a short TTL, to find out whether a server that refused writes accepts them. */
  readonly probeKey: string;
  readonly commandTimeoutMs: number;
  readonly log: Logger;
  readonly now: () => number;
  /** For tests: the breaker never opens. */
  readonly withoutBreaker?: boolean;
}

const FAILURES_TO_OPEN = 3;

export function createConnectionHealth(
  connect: (events: DeploymentEvents) => Deployment,
  options: ConnectionHealthOptions,
): ConnectionHealth {
  const { log } = options;
  const reasons = createReasonLog(log);
  const waiters = createWaiters();
  let identity: string | undefined;
  let epoch = 0;
  let failures = 0;
  let misdelivered = 0;
  let writable = true;
  let closed = false;

  /** A close rejects what still waits: that is no fault. */
  const warn = (error: unknown): void => {
    if (!closed) reasons.warn(error);
  };

  const deployment = connect({
    changed() {
      epoch += 1;
      identity = undefined;
      probe.schedule(0);
    },
    fault: warn,
    misdelivered: reconnect,
  });

  const probe = createProbe({
    ...options,
    ask() {
      if (!deployment.connected) return undefined;
      const askedIn = epoch;
      const answer = writable
        ? deployment.identify()
        : deployment.tryWrite(options.probeKey).then(() => deployment.identify());
      return answer.then(
        (found) => askedIn === epoch && closeBreaker(found),
        (error: unknown) => askedIn === epoch && identifyFailed(error),
      );
    },
    overdue: () => openBreaker(new TimeoutError('Redis did not answer INFO in time')),
  });

  function identifyFailed(error: unknown): void {
    openBreaker(error);
    if (error instanceof MisdeliveredError) reconnect();
  }

  function reconnect(): void {
    if (closed) return;
    misdelivered += 1;
    log.error('a Redis reply belonged to another command, connection closed');
    deployment.reset();
  }

  function openBreaker(error: unknown): void {
    if (identity === undefined) {
      warn(error);
      return;
    }
    if (options.withoutBreaker === true) return;
    log.warn({ err: error }, 'Redis stopped answering, reading from MongoDB');
    identity = undefined;
  }

  function closeBreaker(found: string): void {
    failures = 0;
    writable = true;
    reasons.clear();
    if (identity === found) return;
    log.info({ dataset: found }, 'Redis connected');
    identity = found;
    waiters.wake();
  }

  return {
    deployment,
    get identity() {
      return identity;
    },
    get epoch() {
      return epoch;
    },
    get misdelivered() {
      return misdelivered;
    },
    start() {
      deployment.start();
      probe.schedule(0);
    },
    stop() {
      closed = true;
      identity = undefined;
      probe.stop();
    },
    answered() {
      failures = 0;
    },
    timedOut(error) {
      failures += 1;
      if (failures >= FAILURES_TO_OPEN) openBreaker(error);
    },
    refusedWrite(error) {
      if (identity !== undefined)
        log.warn({ err: error }, 'Redis refused a write, reading from MongoDB');
      identity = undefined;
      writable = false;
    },
    reset() {
      if (identity === undefined) return;
      identity = undefined;
      epoch += 1;
      reconnect();
    },
    settled: (timeoutMs) => (identity === undefined ? waiters.wait(timeoutMs) : Promise.resolve()),
  };
}

function createWaiters() {
  const waiting = new Set<() => void>();
  return {
    wake(): void {
      for (const done of waiting) done();
    },
    wait: (timeoutMs: number): Promise<void> =>
      new Promise((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, timeoutMs);
        waiting.add(done);
      }),
  };
}
