import type { Config } from '../kernel/config/config';
import { createDeadlines } from '../kernel/deadline';
import type { Closable } from '../kernel/lifecycle';
import { connectCache } from '../platform/cache/connect';
import { createMongoEpochStore, EPOCH_COLLECTION } from '../platform/cache/epoch-store';
import { connectDigest } from '../platform/cache/key-digest';
import type { Cache } from '../platform/cache/port';
import type { AttemptCounters } from '../platform/counters/counters';
import { createMongoCounters } from '../platform/counters/mongo-counters';
import { startCounters } from '../platform/counters/redis-counters';
import { DRIVER_GRACE_MS } from '../platform/mongo/bounded';
import { type ClockWatch, watchClock } from '../platform/mongo/clock-watch';
import { connectDatabase, type Database } from '../platform/mongo/connection';
import { exposeDatabase } from '../platform/mongo/database-metrics';
import { createLocks, type Locks, lockTimes } from '../platform/mongo/locks';
import { traceCommands } from '../platform/mongo/trace-commands';
import type { Logger } from '../platform/telemetry/logger';
import type { Metrics } from '../platform/telemetry/metrics';
import { NO_TRACING, type Tracing } from '../platform/telemetry/tracing';

export interface PlatformOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing?: Tracing | undefined;
  readonly own: <T extends Closable>(name: string, resource: T) => T;
  readonly databaseUri: string;
  /** Another way to connect, for a clock that tests can set (dev/test-service). */
  readonly openDatabase?: typeof connectDatabase;
}

/** The connected stores that modules are built on. */
export interface Platform {
  readonly database: Database;
  readonly clockWatch: ClockWatch;
  readonly cache: Cache;
  readonly counters: AttemptCounters;
  readonly locks: Locks;
}

export async function connectPlatform(options: PlatformOptions): Promise<Platform> {
  const { config, log, metrics, own, databaseUri, openDatabase = connectDatabase } = options;
  const { tracing = NO_TRACING } = options;
  const timeoutMs = config.database.operationTimeoutMs;
  const database = own('database', await openDatabase(databaseUri, config.database, log));
  const { connection, clock } = database;
  exposeDatabase(connection, metrics);
  if (tracing.isOn) traceCommands(connection, tracing);
  const { now } = clock;
  const leewaySeconds = config.auth.clockLeewaySeconds;
  const clockWatch = own('clock watch', watchClock({ clock, leewaySeconds, log, metrics }));
  // This deadline covers the MongoDB operations of a write, not its waits for the cache: a
  // committed write must not be reported as failed because Redis hangs.
  const startDeadline = createDeadlines(timeoutMs + DRIVER_GRACE_MS);
  const epochStore = createMongoEpochStore(() => connection.collection(EPOCH_COLLECTION));
  const digest = await connectDigest(connection);
  const cache = own(
    'cache',
    await connectCache({
      ...{ settings: config.cache, log, metrics, tracing },
      ...{ epochStore, digest, startDeadline },
    }),
  );
  const stored = createMongoCounters(connection, { timeoutMs, now });
  const { counters } = own(
    'counters',
    startCounters(config.cache, stored, { log, now, digest, tracing }),
  );
  const locks = createLocks(connection, lockTimes(timeoutMs));
  return { database, clockWatch, cache, counters, locks };
}
