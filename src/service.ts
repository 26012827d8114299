import type { Express } from 'express';
import { createAuth } from './auth/create';
import { connectKeys, deploymentSecret } from './auth/open-keyring';
import { createPasswords, newPassword } from './auth/passwords';
import { seal, unseal } from './auth/sealing';
import { connectCache } from './cache/create';
import { createMongoLedger, LEDGER_COLLECTION } from './cache/ledger';
import { startCounters } from './cache/redis-counters';
import type { Config } from './config';
import { boundCalls } from './data/bounded';
import { connectDatabase, type Database } from './data/connection';
import { createDatabaseCounters } from './data/counters';
import { createIdempotencyStore } from './data/idempotency';
import { createLocks } from './data/locks';
import { createApp } from './http/app';
import { createIdempotency } from './http/idempotency';
import { limitClients, limitRate } from './http/rate-limit';
import type { Closable, Lifecycle } from './lifecycle';
import type { Logger } from './observability/logger';
import type { Metrics } from './observability/metrics';
import { cachedUsers } from './users/cached';
import { createUserList } from './users/list';
import { createUserModel } from './users/model';
import { createUserRepository } from './users/repository';
import { createUserRoutes } from './users/routes';
import { createUserService } from './users/service';

export interface ServiceOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly lifecycle: Lifecycle;
  readonly databaseUri: string;
  /** What /health calls the engine. */
  readonly databaseEngine: string;
  readonly worker: number;
  readonly workers: () => number;
  readonly draining: () => boolean;
}

export interface Service {
  readonly app: Express;
  readonly database: Database;
}

const HEALTH_TIMEOUT_MS = 1000;
/** For the driver to end an operation by itself, with a better reason. */
const DRIVER_GRACE_MS = 100;
/** Longer than any POST takes: its waits are all bounded, and shorter together. */
const IDEMPOTENCY_LEASE_MS = 30_000;

/** The composition root: connects the stores, builds the app on them, and leaves their closing with `lifecycle`. */
export async function createService(options: ServiceOptions): Promise<Service> {
  const { config, log, metrics, lifecycle } = options;
  const timeoutMs = config.database.operationTimeoutMs;
  const own = <T extends Closable>(name: string, resource: T) => lifecycle.own(name, resource);

  const database = own('database', await connectDatabase(options.databaseUri, config.database, log));
  const { connection } = database;
  const ledger = createMongoLedger(() => connection.collection(LEDGER_COLLECTION), config.cache.keyPrefix);
  const cache = own('cache', await connectCache({ settings: config.cache, log, metrics, ledger }));
  const keys = own('signing keys', await connectKeys(config, connection, log));
  const { counters } = own('counters', startCounters(config.cache, createDatabaseCounters(connection, { timeoutMs }), log));
  const locks = createLocks(connection, { ttlMs: config.cache.writerTtlMs, waitMs: timeoutMs, timeoutMs });

  const userModel = createUserModel(connection);
  const repository = boundCalls(createUserRepository(userModel, { timeoutMs }), timeoutMs + DRIVER_GRACE_MS);
  const users = cachedUsers(cache, repository.find);
  const userService = boundCalls(
    createUserService({ repository, users, cache, locks, now: () => new Date() }),
    timeoutMs + DRIVER_GRACE_MS,
  );
  const userList = createUserList(userModel, cache, { timeoutMs });

  const passwords = createPasswords({ ...hashing(config), metrics });
  const { windowMs, perClient, authPerClient } = config.limits;
  const limits = { windowMs, counters, enabled: config.limits.enabled };
  const auth = createAuth({
    ...{ config, log, metrics, connection, keys, counters, cache, users, userService, repository, passwords, own },
    limiter: limitRate({ ...limits, name: 'credentials', limit: authPerClient }),
  });
  const app = createApp({
    settings: config.server,
    log,
    metrics,
    health: {
      draining: options.draining,
      databaseUp: () => database.ping(HEALTH_TIMEOUT_MS),
      cache: cache.state,
      workers: options.workers,
      worker: options.worker,
      databaseEngine: options.databaseEngine,
    },
    limiter: limitClients({ ...limits, name: 'client', limit: perClient, workers: options.workers }),
    authenticate: auth.authenticate,
    idempotency: createIdempotency({
      store: createIdempotencyStore(connection, {
        ttlSeconds: config.limits.idempotencyTtlSeconds,
        leaseMs: IDEMPOTENCY_LEASE_MS,
        timeoutMs,
      }),
      secret: await deploymentSecret(config),
      ...{ seal, unseal, log },
    }),
    // The router tries them in this order: what is asked for most comes first.
    routes: [
      ...createUserRoutes({
        service: userService,
        list: userList,
        newPassword,
        hashPassword: passwords.hash,
        assertRecentLogin: auth.assertRecentLogin,
        record: auth.record,
      }),
      ...auth.routes,
    ],
  });
  return { app, database };
}

const hashing = ({ auth }: Config) => ({ cost: auth.bcryptCost, concurrency: auth.hashConcurrency, queueMax: auth.hashQueueMax });
