import mongoose, { type Connection } from 'mongoose';
import type { Config } from '../../kernel/config/config';
import { databaseIn } from '../../kernel/config/mongo-uri';
import { backoffMs, type Closable, withTimeout } from '../../kernel/lifecycle';
import type { Logger } from '../telemetry/logger';
import { askDatabaseTime, type DatabaseClock, startClock } from './clock';
import { watchMonitor } from './monitor-watch';
import { followRequests } from './request-commands';
import { flagOf, overriddenOptions } from './uri-options';

export interface Database extends Closable {
  readonly connection: Connection;
  readonly clock: DatabaseClock;
  /** Whether the server answers within `timeoutMs`; never rejects. */
  ping(timeoutMs: number): Promise<boolean>;
}

/**
 * One pool per process. Operations are not buffered while the server is unreachable: they fail
 * within their time limit, and the caller answers 503. Writes are acknowledged by the journals of a
 * majority.
 */
export function databaseOptions(
  uri: string,
  settings: Config['database'],
): mongoose.ConnectOptions {
  return {
    maxPoolSize: settings.poolMax,
    minPoolSize: settings.poolMin,
    serverSelectionTimeoutMS: settings.serverSelectionTimeoutMs,
    connectTimeoutMS: settings.serverSelectionTimeoutMs,
    waitQueueTimeoutMS: settings.operationTimeoutMs,
    // maxTimeMS ends an operation on the server. This ends the wait for a server that does not
    // respond.
    socketTimeoutMS: settings.operationTimeoutMs + 100,
    writeConcern: {
      w: isLoneServer(uri) ? 1 : 'majority',
      journal: true,
      wtimeoutMS: settings.operationTimeoutMs,
    },
    readPreference: settings.readPreference,
    // A retry would double the time until a failure, and a standalone server has no other member to
    // retry on.
    retryReads: flagOf(uri, 'retryReads') ?? !isLoneServer(uri),
    retryWrites: flagOf(uri, 'retryWrites') ?? !isLoneServer(uri),
    autoIndex: false,
    autoCreate: false,
    bufferCommands: false,
    // For the metrics (database-metrics.ts).
    monitorCommands: true,
  };
}

/**
 * Whether the URI names a standalone server, as that of the embedded database does. There w: 1 is
 * the majority, and the embedded engine waits for the journal only with w: 1
 * (docs/adr/0002-embedded-engine.md).
 */
function isLoneServer(uri: string): boolean {
  const options = new URLSearchParams(uri.slice(uri.indexOf('?') + 1));
  return options.get('directConnection') === 'true' && options.get('w') === '1';
}

/** Warns about options of MONGODB_URI without effect and about a missing database name. */
export function warnOfUri(uri: string, settings: Config['database'], log: Logger): void {
  const overridden = overriddenOptions(uri, databaseOptions(uri, settings));
  if (overridden.length > 0)
    log.warn({ options: overridden }, 'options of MONGODB_URI have no effect');
  const name = databaseIn(uri);
  if (name === '')
    log.warn('MONGODB_URI names no database: the one called "test" is used (write …host/NAME)');
  if (name === 'admin')
    log.warn('MONGODB_URI names the database "admin", which has the users of MongoDB');
}

/** Connects; waits at most `connectWaitMs` for a database that is still starting. */
export async function connectDatabase(
  uri: string,
  settings: Config['database'],
  log: Logger,
): Promise<Database> {
  // Not mongoose's global instance: any other code could change its settings.
  const driver = new mongoose.Mongoose();
  driver.set('strictQuery', 'throw');
  driver.set('sanitizeFilter', true);
  const deadline = performance.now() + settings.connectWaitMs;
  for (let attempt = 0; ; attempt += 1) {
    const connection = driver.createConnection();
    try {
      await connection.openUri(uri, databaseOptions(uri, settings));
      followRequests(connection);
      const clock = await startClock({
        ask: () => askDatabaseTime(connection),
        log,
        timeoutMs: settings.operationTimeoutMs,
      });
      const monitorWatch = watchMonitor(connection.getClient(), log);
      return {
        connection,
        clock,
        ping: (timeoutMs) => ping(connection, timeoutMs),
        async close() {
          await monitorWatch.close();
          await clock.close();
          await connection.close();
        },
      };
    } catch (error) {
      await connection.destroy().catch(() => undefined);
      // Retrying does not help against wrong credentials.
      if (isRefused(error)) throw error;
      const waitMs = backoffMs(attempt, 50, 1000);
      if (performance.now() + waitMs > deadline) throw error;
      if (attempt === 0) log.info('waiting for the database');
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

/** AuthenticationFailed, AtlasError from Atlas, or an option that this server does not support. */
const isRefused = (error: unknown): boolean =>
  error instanceof Error &&
  (error.name === 'MongoCompatibilityError' ||
    ('code' in error && (error.code === 18 || error.code === 8000)));

async function ping(connection: Connection, timeoutMs: number): Promise<boolean> {
  try {
    if (connection.db === undefined) return false;
    await withTimeout(connection.db.command({ ping: 1 }), timeoutMs, 'ping');
    return true;
  } catch {
    return false;
  }
}
