import { resolve } from 'node:path';
import type { Config } from '../../kernel/config/config';
import { describeMongoUri } from '../../kernel/config/mongo-uri';
import { connectDatabase, type Database } from '../../platform/mongo/connection';
import type { Logger } from '../../platform/telemetry/logger';
import { loadEmbeddedMongo } from '../development-database';

/** `where` describes the database for messages, without user and password. */
export type DatabaseWork<T> = (database: Database, where: string) => Promise<T>;

/**
 * Runs `work` on the service's database: MONGODB_URI, the running embedded database, or an embedded
 * database started for this command.
 */
export async function withDatabase<T>(
  config: Config,
  log: Logger,
  work: DatabaseWork<T>,
): Promise<T> {
  const { uri, embedded, dataDir } = config.database;
  if (uri !== undefined) return use(uri, describeMongoUri(uri));
  const { DataFolderInUseError, embeddedUri, startEmbeddedDatabase } = await loadEmbeddedMongo();
  const where = `the embedded database in ${resolve(dataDir)}`;
  const mode = embedded === 'off' ? 'auto' : embedded;
  const started = await startEmbeddedDatabase({ mode, dataDir, log }).catch((error: unknown) => {
    // A service uses this folder. The address of its database is derived from the folder.
    if (error instanceof DataFolderInUseError) return undefined;
    throw error;
  });
  if (started === undefined) return use(embeddedUri(dataDir), where);
  try {
    return await use(started.uri, where);
  } finally {
    await started.close();
  }

  async function use(target: string, name: string): Promise<T> {
    const database = await connectDatabase(target, config.database, log);
    try {
      return await work(database, name);
    } finally {
      await database.close();
    }
  }
}
