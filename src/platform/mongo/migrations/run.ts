import { setTimeout as pause } from 'node:timers/promises';
import type { Connection } from 'mongoose';
import type { Logger } from '../../telemetry/logger';
import { isBefore } from '../expressions';
import { createLocks, type Locks } from '../locks';
import { runBatch } from './batch';
import { inOrder, type Migration } from './migration';
import { createPace } from './pace';
import { DATABASE_TIME, type MigrationState, type MigrationStates, migrationStates } from './state';

export interface MigrationOptions {
  readonly log: Logger;
  /** Time for all of it; a later run does the rest. Default: no limit. */
  readonly budgetMs?: number;
  readonly signal?: AbortSignal;
  /** Longest time of one command of a batch. */
  readonly timeoutMs?: number;
  /** Documents of a batch; how many it is follows the time that the batches take. */
  readonly batchMax?: number;
  /** Idle time after each batch, as a multiple of its duration. */
  readonly idleShare?: number;
  /** Give way when another process holds the lock, rather than wait for it. */
  readonly yields?: boolean;
  /**
   * Look again for documents of the old form where a migration is done but not settled, if the last
   * pass began so long ago. Default: do not.
   */
  readonly sweepAfterMs?: number;
  /** A migration is settled when a pass that begins so long after the first one meets nothing. */
  readonly settleMs?: number;
}

const TIMEOUT_MS = 2000;
/** Commands of a batch: the state, the ids, the documents, the writes, the state again. */
const COMMANDS = 5;
/** More passes would not end under continuous writes of the old form: a later run goes on. */
const PASSES_MAX = 3;
const SETTLE_MS = 3_600_000;
const REPORT_MS = 5000;
/** False: the budget was over, or `signal` aborted it, before every migration was done. */
export async function runMigrations(
  connection: Connection,
  migrations: readonly Migration[],
  options: MigrationOptions,
): Promise<boolean> {
  const { timeoutMs = TIMEOUT_MS } = options;
  const states = migrationStates(connection, { timeoutMs });
  const known = new Map((await states.list()).map((state) => [state._id, state]));
  const locks = createLocks(connection, { ttlMs: COMMANDS * timeoutMs, timeoutMs });
  const deadlineMs = performance.now() + (options.budgetMs ?? Number.POSITIVE_INFINITY);
  for (const migration of inOrder(migrations)) {
    const state = known.get(migration.id);
    if (state?.state === 'settled') continue;
    const run = { connection, migration, states, locks, options, timeoutMs };
    if (state?.state === 'done' && !(await startSweep(run, state))) continue;
    if (!(await runOne(run, deadlineMs))) return false;
  }
  return true;
}

interface Run {
  readonly connection: Connection;
  readonly migration: Migration;
  readonly states: MigrationStates;
  readonly locks: Locks;
  readonly options: MigrationOptions;
  readonly timeoutMs: number;
}

/** False: it is not due, or another process has just begun one. */
async function startSweep({ states, options }: Run, state: MigrationState): Promise<boolean> {
  const { sweepAfterMs } = options;
  if (sweepAfterMs === undefined) return false;
  const isDue = { $lte: ['$passAt', { $subtract: ['$$NOW', sweepAfterMs] }] };
  return states.save(state, { state: 'running', ...nextPass({ pass: 0 }) }, isDue);
}

const nextPass = ({ pass }: Pick<MigrationState, 'pass'>) => ({
  pass: pass + 1,
  after: undefined,
  examined: 0,
  met: 0,
  passAt: DATABASE_TIME,
});

/** Whether it is done; false: the time was over before, or another process works. */
async function runOne(run: Run, deadlineMs: number): Promise<boolean> {
  const { log, signal, idleShare = 0 } = run.options;
  const report = reporter(log, run.migration.id);
  const pace = createPace({ ...run.options, migration: run.migration.id });
  while (performance.now() < deadlineMs && signal?.aborted !== true) {
    const began = performance.now();
    const state = await oneStep(run, pace.size()).catch(pace.failed);
    const tookMs = performance.now() - began;
    if (state === 'give way') return false;
    if (state === 'again') continue;
    if (state.state !== 'running') {
      report.done(state);
      return true;
    }
    report.progress(state);
    pace.succeeded(tookMs);
    if (idleShare > 0) await pause(tookMs * idleShare);
  }
  return false;
}

/** One batch under the lock, saved with its checkpoint. Resolves with the state after it. */
function oneStep(run: Run, size: number): Promise<MigrationState> {
  const { connection, migration, states, locks, options, timeoutMs } = run;
  return locks.withLock('migrations', async (until) => {
    const seen = await states.open(migration.id, migration.needs);
    if (seen.state !== 'running') return seen;
    const batch = await runBatch(connection, migration, seen.after, { size, timeoutMs, until });
    const change =
      batch === null
        ? endOfPass(seen, options)
        : {
            after: batch.last,
            examined: seen.examined + batch.examined,
            met: seen.met + batch.met,
            changed: seen.changed + batch.changed,
          };
    if (batch === null) {
      const { pass, examined, met } = seen;
      options.log.debug({ migration: migration.id, pass, examined, met }, 'migration pass ended');
    }
    // Not saved: this process was suspended, and another one has gone on from `seen`.
    return (await states.save(seen, change, isBefore(until))) ? { ...seen, ...change } : seen;
  });
}

function endOfPass(seen: MigrationState, { settleMs = SETTLE_MS }: MigrationOptions) {
  if (seen.met > 0 && seen.pass < PASSES_MAX) return nextPass(seen);
  const { doneAt } = seen;
  const isSettled =
    seen.met === 0 &&
    seen.pass === 1 &&
    doneAt !== undefined &&
    seen.passAt.getTime() - doneAt.getTime() >= settleMs;
  if (isSettled) return { state: 'settled' as const, after: undefined };
  // The time counts from the last document of the old form.
  const restart = doneAt === undefined || seen.met > 0 || seen.pass > 1;
  return {
    state: 'done' as const,
    after: undefined,
    ...(restart ? { doneAt: DATABASE_TIME } : {}),
  };
}

function reporter(log: Logger, migration: string) {
  let lastMs = performance.now();
  let before: number | undefined;
  const fields = ({ pass, examined, changed }: MigrationState) => ({
    ...{ migration, pass, examined, changed },
  });
  return {
    progress(state: MigrationState): void {
      before ??= state.changed;
      if (performance.now() - lastMs < REPORT_MS) return;
      lastMs = performance.now();
      log.info(fields(state), 'migration in progress');
    },
    done(state: MigrationState): void {
      const level = before === undefined && state.pass === 1 ? 'debug' : 'info';
      log[level]({ ...fields(state), state: state.state }, 'migration done');
    },
  };
}
