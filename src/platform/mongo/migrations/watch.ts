import type { Connection } from 'mongoose';
import { type Closable, jittered, repeatedly } from '../../../kernel/lifecycle';
import type { Logger } from '../../telemetry/logger';
import type { Migration } from './migration';
import { runMigrations } from './run';

const LOOK_MS = 60_000;
const SWEEP_MS = 600_000;

/**
 * Finishes in the background what the start left, and sweeps for documents that processes of the
 * version before have written since, until every migration is settled. One worker at a time works,
 * with pauses; the others give way.
 */
export function watchMigrations(
  connection: Connection,
  migrations: readonly Migration[],
  log: Logger,
  { lookMs = LOOK_MS, sweepAfterMs = SWEEP_MS, settleMs }: WatchOptions = {},
): Closable {
  const options = {
    ...{ log, yields: true, idleShare: 1, sweepAfterMs },
    ...(settleMs === undefined ? {} : { settleMs }),
  };
  return repeatedly(
    () => jittered(lookMs, 0.5),
    (signal) => runMigrations(connection, migrations, { ...options, signal }),
    (error, signal) => {
      if (!signal.aborted) log.error({ err: error }, 'migration failed, will be tried again');
    },
  );
}

export interface WatchOptions {
  readonly lookMs?: number;
  readonly sweepAfterMs?: number;
  readonly settleMs?: number;
}
