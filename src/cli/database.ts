import type { Config } from '../config';
import { connectDatabase, type Database } from '../data/connection';
import { DataFolderInUseError, embeddedUri, startEmbeddedDatabase } from '../embedded/index';
import type { Logger } from '../observability/logger';

/** Runs `work` on the database that the service would use: MONGODB_URI, the embedded one that runs, or one started for this. */
export async function withDatabase<T>(config: Config, log: Logger, work: (database: Database) => Promise<T>): Promise<T> {
  const { uri, embedded, dataDir } = config.database;
  if (uri !== undefined) return use(uri);
  if (embedded === 'off') throw new Error('EMBEDDED_DB is off and MONGODB_URI is not set');
  const started = await startEmbeddedDatabase({ mode: embedded, dataDir, log }).catch((error: unknown) => {
    // The service runs on this folder: its database answers at an address that follows from the folder.
    if (error instanceof DataFolderInUseError) return undefined;
    throw error;
  });
  if (started === undefined) return use(embeddedUri(dataDir));
  try {
    return await use(started.uri);
  } finally {
    await started.close();
  }

  async function use(target: string): Promise<T> {
    const database = await connectDatabase(target, config.database, log);
    try {
      return await work(database);
    } finally {
      await database.close();
    }
  }
}
