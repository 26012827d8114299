import type { Connection } from 'mongoose';
import { ConfigError } from '../../../kernel/config/config';
import type { Logger } from '../../telemetry/logger';
import type { Migration } from './migration';
import { DATABASE_TIME, migrationStates } from './state';

/**
 * Compares the database's migrations with those that this version knows. Those of a later version
 * are accepted, because in a rolling update or a rollback this version serves beside or after that
 * one: it may write the old form, so they are swept again. Throws ConfigError when a later version
 * has removed a form that this one needs.
 */
export async function acceptLaterMigrations(
  connection: Connection,
  migrations: readonly Migration[],
  log: Logger,
  options: { timeoutMs: number },
): Promise<void> {
  const known = new Set(migrations.map(({ id }) => id));
  const states = migrationStates(connection, options);
  const later = (await states.list()).filter(({ _id }) => !known.has(_id));
  if (later.length === 0) return;
  const refusing = later.find(({ needs }) => needs !== undefined && !known.has(needs));
  if (refusing !== undefined) {
    const message = `names a database that a later version has migrated (${refusing._id}), which this version cannot use: start a version that knows ${refusing.needs}`;
    throw new ConfigError([{ env: 'MONGODB_URI', message }]);
  }
  const ids = later.map(({ _id }) => _id);
  log.warn({ migrations: ids }, 'database migrated by a later version');
  for (const state of later)
    if (state.state !== 'running')
      await states.save(state, { state: 'done', doneAt: DATABASE_TIME });
}
