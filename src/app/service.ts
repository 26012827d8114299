import type { Express } from 'express';
import type { Config } from '../kernel/config/config';
import { createClientDigest } from '../kernel/crypto/client-digest';
import { decrypt, encrypt, type Secrets } from '../kernel/crypto/encryption';
import type { Closable, Lifecycle } from '../kernel/lifecycle';
import { authExtension, connectKeys, deploymentSecrets } from '../modules/auth';
import { createApp } from '../platform/http/app';
import { NO_CLIENT } from '../platform/http/client-info';
import { corsOriginsOf } from '../platform/http/cors';
import { createIdempotency, type Idempotency, underAll } from '../platform/http/idempotency';
import { createIdempotencyStore } from '../platform/http/idempotency-store';
import { createTraffic } from '../platform/http/traffic';
import type { Database } from '../platform/mongo/connection';
import { watchMigrations } from '../platform/mongo/migrations/watch';
import { limitClients } from '../platform/rate-limits/client-limit';
import { limitExactly } from '../platform/rate-limits/exact-limit';
import type { Logger } from '../platform/telemetry/logger';
import type { Metrics } from '../platform/telemetry/metrics';
import { migrations } from './migrate';
import { connectModules } from './modules';
import { operationTags } from './operation-tags';
import { connectPlatform, type Platform, type PlatformOptions } from './platform';

export interface ServiceOptions extends Pick<PlatformOptions, 'openDatabase' | 'tracing'> {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly lifecycle: Lifecycle;
  readonly databaseUri: string;
  /** Shown by /health. */
  readonly databaseEngine: string;
  readonly worker: number;
  /** Shown by /health: which primary has forked the worker. */
  readonly instance?: string | undefined;
  readonly workers: () => number;
  readonly draining: () => boolean;
}

export interface Service {
  readonly app: Express;
  readonly database: Database;
}

const HEALTH_TIMEOUT_MS = 1000;
/** Upper bound of a POST's waits for the hash queue, Redis and the cache epoch store. */
const POST_WAITS_MS = 20_000;
/**
 * Shorter than a client waits by default, so that its repeat takes over from a worker that died.
 */
const CLAIM_LEASE_MS = 10_000;

/**
 * The composition root: connects the stores, the modules and the app. `lifecycle` closes them.
 */
export async function createService(options: ServiceOptions): Promise<Service> {
  const { config, log, metrics, lifecycle } = options;
  const own = <T extends Closable>(name: string, resource: T) => lifecycle.own(name, resource);
  const platform = await connectPlatform({ ...options, own });
  const { connection, clock } = platform.database;
  const { now } = clock;
  const secrets = await deploymentSecrets(config);
  const { windowMs, perClient, authPerClient, enabled } = config.limits;
  const { counters } = platform;
  const digest = createClientDigest(secrets[0]);
  const limits = { windowMs, counters, enabled, now, digest };
  const traffic = createTraffic(metrics);
  const { users, auth, served } = await connectModules({
    ...{ ...platform, traffic },
    ...{ config, log, metrics, tracing: options.tracing, own, connection, secrets, now },
    sendsMail: true,
    runsJobs: config.jobs.run,
    draining: options.draining,
    limiter: limitExactly({ ...limits, name: 'credentials', limit: authPerClient }),
    openKeys: (emit) => {
      const made = () => emit('SigningKeyRotated', { reason: 'schedule', client: NO_CLIENT });
      return connectKeys({ config, connection, log, now, made });
    },
  });
  await auth.start();
  if (config.database.migrateOnStart)
    own('migrations', watchMigrations(connection, migrations, log));
  users.start();
  const { workers } = options;
  const app = createApp({
    settings: config.server,
    cors: corsOriginsOf(config),
    log,
    metrics,
    tracing: options.tracing,
    traffic,
    health: healthOf(options, platform),
    limiter: limitClients({ ...limits, name: 'client', limit: perClient, workers }),
    guardsOf: auth.guardsOf,
    extensions: { ...authExtension, tags: operationTags },
    idempotency: idempotencyOf(options, platform, secrets),
    pages: served.flatMap(({ pages }) => pages ?? []),
    routes: served.flatMap(({ routes }) => routes),
  });
  return { app, database: platform.database };
}

const healthOf = (options: ServiceOptions, { database, cache, clockWatch }: Platform) => ({
  draining: options.draining,
  databaseUp: () => database.ping(HEALTH_TIMEOUT_MS),
  cache: cache.state,
  clock: clockWatch.state,
  workers: options.workers,
  worker: options.worker,
  instance: options.instance,
  databaseEngine: options.databaseEngine,
  modules: options.config.server.modules,
});

function idempotencyOf(
  { config, log }: ServiceOptions,
  { database }: Platform,
  secrets: Secrets,
): Idempotency {
  const timeoutMs = config.database.operationTimeoutMs;
  const shortTtlSeconds = config.limits.windowMs / 1000;
  const store = createIdempotencyStore(database.connection, {
    leaseMs: Math.max(CLAIM_LEASE_MS, 2 * timeoutMs),
    longestMs: POST_WAITS_MS + config.cache.nearTtlMs + 5 * timeoutMs,
    abandonedSeconds: shortTtlSeconds,
    timeoutMs,
  });
  const ttlSeconds = config.limits.idempotencyTtlSeconds;
  return underAll(
    secrets.map((secret) =>
      createIdempotency({ store, ttlSeconds, shortTtlSeconds, secret, encrypt, decrypt, log }),
    ),
  );
}
