import mongoose, { type Connection } from 'mongoose';
import type { Config } from '../config';
import { backoffMs, type Closable, withTimeout } from '../lifecycle';
import type { Logger } from '../observability/logger';

export interface Database extends Closable {
  readonly connection: Connection;
  /** Asks the server within `timeoutMs`; false instead of an error. */
  ping(timeoutMs: number): Promise<boolean>;
}

/**
 * One pool. Nothing is buffered while the server is away: an operation fails within its time, and the caller answers
 * 503 rather than wait. Acknowledged means majority and journaled.
 */
export function databaseOptions(uri: string, settings: Config['database']): mongoose.ConnectOptions {
  return {
    maxPoolSize: settings.poolMax,
    minPoolSize: settings.poolMin,
    serverSelectionTimeoutMS: settings.serverSelectionTimeoutMs,
    connectTimeoutMS: settings.serverSelectionTimeoutMs,
    waitQueueTimeoutMS: settings.operationTimeoutMs,
    // maxTimeMS of each operation ends it on a server that works; this ends the wait for one that does not.
    socketTimeoutMS: settings.operationTimeoutMs + 100,
    writeConcern: { w: isLoneServer(uri) ? 1 : 'majority', journal: true, wtimeoutMS: settings.operationTimeoutMs },
    readPreference: settings.readPreference,
    // A second attempt would double the time of a failure, and a lone server has no other to be asked.
    retryReads: !isLoneServer(uri),
    retryWrites: !isLoneServer(uri),
    autoIndex: false,
    autoCreate: false,
    bufferCommands: false,
  };
}

/**
 * True for a URI that says that its server has no others: the embedded one's. There 1 is the majority, and the embedded
 * engine waits for the journal only when asked for 1 (docs/adr/0002-embedded-engine.md).
 */
function isLoneServer(uri: string): boolean {
  const options = new URLSearchParams(uri.slice(uri.indexOf('?') + 1));
  return options.get('directConnection') === 'true' && options.get('w') === '1';
}

/** Connects, waiting for a database that is still starting, at most `connectWaitMs`. */
export async function connectDatabase(uri: string, settings: Config['database'], log: Logger): Promise<Database> {
  // An instance of our own: settings of the module's global one would be shared with whatever else uses mongoose.
  const driver = new mongoose.Mongoose();
  driver.set('strictQuery', 'throw');
  driver.set('sanitizeFilter', true);
  const deadline = performance.now() + settings.connectWaitMs;
  for (let attempt = 0; ; attempt += 1) {
    const connection = driver.createConnection();
    try {
      await connection.openUri(uri, databaseOptions(uri, settings));
      return {
        connection,
        ping: (timeoutMs) => ping(connection, timeoutMs),
        close: () => connection.close(),
      };
    } catch (error) {
      await connection.destroy().catch(() => undefined);
      const waitMs = backoffMs(attempt, 50, 1000);
      if (performance.now() + waitMs > deadline) throw error;
      if (attempt === 0) log.info('waiting for the database');
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

async function ping(connection: Connection, timeoutMs: number): Promise<boolean> {
  try {
    if (connection.db === undefined) return false;
    await withTimeout(connection.db.command({ ping: 1 }), timeoutMs, 'ping');
    return true;
  } catch {
    return false;
  }
}
