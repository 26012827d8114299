import type { Connection } from 'mongoose';
import { type Config, ConfigError } from '../kernel/config/config';
import { indexDrift } from '../platform/mongo/index-drift';
import { ensureIndexes } from '../platform/mongo/indexes';
import { acceptLaterMigrations } from '../platform/mongo/migrations/known';
import { runMigrations } from '../platform/mongo/migrations/run';
import { migrationStates } from '../platform/mongo/migrations/state';
import type { Logger } from '../platform/telemetry/logger';
import { storages } from './modules';

/** Of all modules. */
export const migrations = storages.flatMap((storage) => storage.migrations ?? []);
export const indexesOf = (config: Config) => storages.flatMap((storage) => storage.indexes(config));

/** The service reads documents of the version before, so the rest may wait. */
const START_BUDGET_MS = 20_000;

/**
 * Indexes and migrations at a start, within a bounded time; workers finish the migrations in the
 * background. Throws ConfigError where the database is not fit for this version.
 */
export async function migrateAtStart(
  connection: Connection,
  config: Config,
  log: Logger,
): Promise<void> {
  const timeoutMs = config.database.operationTimeoutMs;
  await acceptLaterMigrations(connection, migrations, log, { timeoutMs });
  if (!config.database.migrateOnStart) return requireMigrated(connection, config, log);
  await ensureIndexes(connection, indexesOf(config), log);
  try {
    const options = { log, budgetMs: START_BUDGET_MS };
    if (!(await runMigrations(connection, migrations, options)))
      log.warn('migrations not finished yet, continuing in the background');
  } catch (error) {
    log.error({ err: error }, 'migration failed, will be tried again');
  }
}

/** Queries name their indexes, so a missing one ends the start. */
async function requireMigrated(connection: Connection, config: Config, log: Logger): Promise<void> {
  const options = { timeoutMs: config.database.operationTimeoutMs };
  const drift = await indexDrift(connection, indexesOf(config));
  const missing = drift.filter(({ fault }) => fault === 'missing');
  if (missing.length > 0) {
    const names = missing.map(({ collection, index }) => `${collection}.${index}`).join(', ');
    const message = `is false and indexes are missing (${names}): run npm run migrate -- up`;
    throw new ConfigError([{ env: 'MIGRATE_ON_START', message }]);
  }
  const done = new Set(
    (await migrationStates(connection, options).list())
      .filter(({ state }) => state !== 'running')
      .map(({ _id }) => _id),
  );
  const pending = migrations.map(({ id }) => id).filter((id) => !done.has(id));
  if (pending.length > 0)
    log.warn({ migrations: pending }, 'migrations pending, run npm run migrate -- up');
}
