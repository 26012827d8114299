import type { Config } from '../../kernel/config/config';
import { randomToken } from '../../kernel/crypto/random';
import { createLifecycle } from '../../kernel/lifecycle';
import { createSecretKeyRing, deploymentSecrets } from '../../modules/auth';
import { connectDigest } from '../../platform/cache/key-digest';
import { createMongoCounters } from '../../platform/counters/mongo-counters';
import { startCounters } from '../../platform/counters/redis-counters';
import { createTraffic } from '../../platform/http/traffic';
import type { Database } from '../../platform/mongo/connection';
import { ensureIndexes } from '../../platform/mongo/indexes';
import { createLocks, lockTimes } from '../../platform/mongo/locks';
import type { Logger } from '../../platform/telemetry/logger';
import { createMetrics } from '../../platform/telemetry/metrics';
import { indexesOf } from '../migrate';
import { connectModules, type Modules } from '../modules';
import { withCache } from './cache';
import { withDatabase } from './database';

const COUNTERS_WAIT_MS = 1500;

export interface CommandModules extends Modules {
  readonly database: Database;
  /** Whether this process counts failed logins in the same store as the services. */
  readonly countersInUse: boolean;
  /** Describes the database in messages. */
  readonly where: string;
}

/**
 * Runs `work` with the workers' modules, database and cache. When it resolves, the audit events are
 * stored and the notices are in the mail queue, which the workers process.
 */
export function withModules<T>(
  config: Config,
  log: Logger,
  work: (modules: CommandModules) => Promise<T>,
): Promise<T> {
  return withDatabase(config, log, async (database, where) => {
    // On a new database the unique index on the e-mail does not exist yet.
    await ensureIndexes(database.connection, indexesOf(config), log);
    return withCache(config, database.connection, log, async (cache) => {
      const lifecycle = createLifecycle({ deadlineMs: config.server.shutdownDeadlineMs, log });
      const own: typeof lifecycle.own = (name, resource) => lifecycle.own(name, resource);
      try {
        const { connection, clock } = database;
        const { now } = clock;
        const timeoutMs = config.database.operationTimeoutMs;
        const metrics = createMetrics();
        const stored = createMongoCounters(connection, { timeoutMs, now });
        const digest = await connectDigest(connection);
        const counters = own('counters', startCounters(config.cache, stored, { log, now, digest }));
        // Closing a connection while it is being established would log a failure.
        const countersInUse = await counters.inUse(COUNTERS_WAIT_MS);
        const modules = await connectModules({
          ...{ config, log, own, connection, cache, now, metrics },
          traffic: createTraffic(metrics),
          counters: counters.counters,
          locks: createLocks(connection, lockTimes(timeoutMs)),
          secrets: await deploymentSecrets(config),
          limiter: (_req, _res, next) => next(),
          // A command issues no tokens.
          openKeys: async () => createSecretKeyRing(randomToken(32)),
          sendsMail: false,
          runsJobs: false,
          draining: () => false,
        });
        return await work({ ...modules, database, countersInUse, where });
      } finally {
        await lifecycle.close();
      }
    });
  });
}
