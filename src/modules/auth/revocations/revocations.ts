import type { Connection } from 'mongoose';
import { MAX_REVOCATION_LEASE_MS } from '../../../kernel/config/auth';
import { problems } from '../../../kernel/errors';
import { backoffMs, type Closable } from '../../../kernel/lifecycle';
import { DRIVER_GRACE_MS, inTime } from '../../../platform/mongo/bounded';
import type { Logger } from '../../../platform/telemetry/logger';
import { createAcknowledgements } from './acknowledgements';
import { createRevocationLog, type Ended, type RevocationLog } from './log';
import { createLooks, type LookUp } from './looks';
import { createMover } from './mover';
import type { PendingEnds } from './pending-ends';
import { createRemovedSubjects } from './removed-subjects';
import { createTail } from './tail';
import { createVerifiers } from './verifiers';

/** How the ends of tokens reach the verifiers of other services (ADR 40). */
export interface Revocations extends Closable {
  readonly log: RevocationLog;
  readonly lookUp: LookUp;
  /** Resolves when the log has an entry after the position, or after `waitMs`. */
  readonly waitFor: (after: number, waitMs: number) => Promise<void>;
  readonly leaseMs: number;
  /**
   * Call after the commit of a write that ends tokens of these subjects, before its
   * acknowledgement. When it resolves, no verifier accepts them. Throws 503 `write_unconfirmed`.
   */
  settle(subjects: readonly string[]): Promise<void>;
  /** The same for an end that no document keeps: appends it first. */
  record(ended: Ended): Promise<void>;
  /** Before the removal of a user. */
  announceRemoval(userId: string): Promise<void>;
  /** Moves what was left in documents, and forgets what no token needs any more. */
  start(): void;
}

export interface RevocationsDependencies {
  readonly connection: Connection;
  readonly log: Logger;
  readonly timeoutMs: number;
  readonly leaseMs: number;
  /** Longest life of an access token under any setting. */
  readonly retainMs: number;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
  readonly sources: readonly PendingEnds[];
  readonly userExists: (id: string) => Promise<boolean>;
  /** Those of the ids whose removal has not been committed for good. */
  readonly existingUsers: (ids: readonly string[]) => Promise<ReadonlySet<string>>;
}

const SWEEP_MS = 5000;
const PURGE_MS = 600_000;

export function createRevocations(deps: RevocationsDependencies): Revocations {
  const { connection, timeoutMs, leaseMs, now } = deps;
  const boundMs = timeoutMs + DRIVER_GRACE_MS;
  const log = createRevocationLog(connection, { timeoutMs, now });
  const verifiers = createVerifiers(connection, { timeoutMs, now });
  const removed = createRemovedSubjects(connection, {
    ...{ timeoutMs, exists: deps.userExists, existing: deps.existingUsers },
  });
  const mover = createMover(log, [...deps.sources, removed]);
  /** Where a verifier is registered, each write moves its own ends. */
  const moveUntold = async () => {
    if ((await verifiers.live()).length === 0) await mover.moveAll();
  };
  const tail = createTail(log.latest, moveUntold);
  const acknowledged = createAcknowledgements({
    live: () => inTime(verifiers.live(), boundMs, 'the registry of verifiers'),
    maxLeaseMs: MAX_REVOCATION_LEASE_MS,
  });

  /** The order counts: the own look of a verifier that registers later moves the ends before it. */
  async function told(publish: () => Promise<void>): Promise<void> {
    let sequence: number;
    try {
      if ((await inTime(verifiers.live(), boundMs, 'the registry of verifiers')).length === 0)
        return;
      await inTime(publish(), boundMs, 'the move of ended tokens');
      sequence = await inTime(log.latest(), boundMs, 'the end of the revocation log');
    } catch (error) {
      throw problems.unconfirmed(error);
    }
    tail.moved();
    await acknowledged.of(sequence);
  }

  return {
    log,
    leaseMs,
    waitFor: tail.waitFor,
    lookUp: createLooks({ log, tail, verifiers, mover, leaseMs }),
    settle: (subjects) => told(() => mover.move(subjects)),
    async record(ended) {
      await log.append([ended]);
      await told(async () => undefined);
    },
    announceRemoval: removed.announce,
    ...housekeeping(deps, {
      sweep: async () => {
        await mover.moveAll();
        await removed.forgetRefused();
      },
      purge: () => log.purge(new Date(now() - deps.retainMs)),
    }),
  };
}

/** In every process: doing it twice changes nothing, and there is little to do. */
function housekeeping(
  { log }: RevocationsDependencies,
  work: { readonly sweep: () => Promise<void>; readonly purge: () => Promise<void> },
): Pick<Revocations, 'start' | 'close'> {
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let running: Promise<void> = Promise.resolve();
  let purgedMs = Number.NEGATIVE_INFINITY;

  async function once(): Promise<void> {
    try {
      await work.sweep();
      if (performance.now() - purgedMs < PURGE_MS) return;
      purgedMs = performance.now();
      await work.purge();
    } catch (error) {
      log.warn({ err: error }, 'ended tokens not moved to the revocation log');
    }
  }

  function plan(): void {
    timer = setTimeout(
      () => {
        running = once().finally(() => {
          if (!isClosed) plan();
        });
      },
      backoffMs(0, SWEEP_MS, SWEEP_MS),
    ).unref();
  }

  return {
    start: plan,
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await running;
    },
  };
}
