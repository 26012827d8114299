/** Runs the test migration on the database of argv[2], in small batches, until it is done. */
import { parseConfig } from '../../src/kernel/config/config';
import { connectDatabase } from '../../src/platform/mongo/connection';
import { runMigrations } from '../../src/platform/mongo/migrations/run';
import { createLogger } from '../../src/platform/telemetry/logger';
import { countedMigration } from './counted-migration';

async function main(): Promise<void> {
  const log = createLogger({ level: 'silent' });
  const [, , uri = ''] = process.argv;
  const { database: settings } = parseConfig({ NODE_ENV: 'test', MONGODB_URI: uri });
  const database = await connectDatabase(uri, settings, log);
  await runMigrations(database.connection, [countedMigration], {
    ...{ log, batchMax: 200, timeoutMs: 1000 },
  });
  await database.close();
}

void main();
