import type { RequestHandler } from 'express';
import type { Connection } from 'mongoose';
import type { Config } from '../kernel/config/config';
import type { Secrets } from '../kernel/crypto/encryption';
import type { Closable } from '../kernel/lifecycle';
import { createPolicy } from '../kernel/permissions';
import { auditStorage, createAudit } from '../modules/audit';
import {
  type Auth,
  authStorage,
  createAuth,
  exportHash,
  foreignHash,
  importHash,
  issuerOf,
  type KeyRing,
  NO_PASSWORD,
  newPasswordOf,
  openCompromisedPasswords,
  principalOf,
  type RemoteKeyRing,
  refuseKnownPassword,
} from '../modules/auth';
import type { DomainEvents, EmitEvent } from '../modules/domain-events';
import {
  createEvents,
  createRenderer,
  eventsStorage,
  measureMoves,
  PUMP_LEASE_MS,
} from '../modules/events';
import { createJobs, jobsStorage } from '../modules/jobs';
import {
  createPrivacy,
  createRemovalOutbox,
  createRemovals,
  privacyStorage,
} from '../modules/privacy';
import {
  createTokenClaims,
  createUserOutbox,
  createUsers,
  indexedMetadata,
  USER_EVENTS,
  type Users,
  usersStorage,
} from '../modules/users';
import { createWebhooks, webhooksStorage } from '../modules/webhooks';
import type { Cache } from '../platform/cache/port';
import type { AttemptCounters } from '../platform/counters/counters';
import { createEventLog } from '../platform/event-log/event-log';
import { createMover } from '../platform/event-log/mover';
import { createEventBus } from '../platform/events';
import type { Module, ModuleStorage } from '../platform/module';
import { createLocks, type Locks } from '../platform/mongo/locks';
import { createPendingLook } from '../platform/outbox/outbox-source';
import type { Logger } from '../platform/telemetry/logger';
import type { Metrics } from '../platform/telemetry/metrics';
import type { Tracing } from '../platform/telemetry/tracing';
import { openAdminPage } from './admin-page';
import { openEventStream } from './event-stream';
import { createDurableJobs, type DurableJobs } from './jobs';

/** The storage of all modules: they share one database, whichever of them a process serves. */
export const storages: readonly ModuleStorage[] = [
  usersStorage,
  authStorage,
  auditStorage,
  jobsStorage,
  privacyStorage,
  eventsStorage,
  webhooksStorage,
];

export interface ModulesDependencies {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing?: Tracing | undefined;
  readonly own: <T extends Closable>(name: string, resource: T) => T;
  readonly connection: Connection;
  readonly cache: Cache;
  readonly counters: AttemptCounters;
  readonly locks: Locks;
  readonly secrets: Secrets;
  /** Rate limiter of the routes on which credentials could be guessed. */
  readonly limiter: RequestHandler;
  readonly openKeys: (emit: EmitEvent) => Promise<KeyRing | RemoteKeyRing>;
  /** Whether this process sends mails. If not, it queues them for the processes that do. */
  readonly sendsMail: boolean;
  /** Whether this process runs durable jobs. If not, it queues them for the processes that do. */
  readonly runsJobs: boolean;
  /** Whether this process is about to end. */
  readonly draining: () => boolean;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

type Served = Pick<Module<DomainEvents>, 'routes' | 'pages'>;

export interface Modules {
  readonly users: Users;
  readonly auth: Auth;
  /** By MODULES. The router tries their routes in this order: the most frequent come first. */
  readonly served: readonly Served[];
  readonly emit: EmitEvent;
  readonly jobs: DurableJobs;
}

const DAY_MS = 86_400_000;

/** Connects the modules through their ports and their domain events. */
export async function connectModules(deps: ModulesDependencies): Promise<Modules> {
  const { config, log, metrics, own, connection, now } = deps;
  const timeoutMs = config.database.operationTimeoutMs;
  const bus = createEventBus<DomainEvents>(log);
  const { emit } = bus;
  const ttlDays = config.audit.ttlDays;
  const audit = own(
    'audit log',
    createAudit({ connection, log, metrics, timeoutMs, ttlDays, now }),
  );
  // Subscribe before the first event: opening the keys may emit one.
  bus.subscribe(audit.subscribers ?? {});
  const keys = own<KeyRing | RemoteKeyRing>('signing keys', await deps.openKeys(emit));
  const policy = createPolicy(config.auth.roles);
  const stored = audit.flush;
  const jobs = createDurableJobs({ ...deps, stored });
  const { importMaxBytes, importMaxLines, importUploadTimeoutMs } = config.jobs;
  const removals = createRemovals(connection, { timeoutMs });
  const users: Users = createUsers({
    ...deps,
    async announceRemoval(userId, events) {
      await removals.announce(userId, events);
      await auth.revocations.announceRemoval(userId);
    },
    removedAmong: removals.announced,
    tokensEnded: (userIds) => auth.revocations.settle(userIds),
    bulk: {
      ...{ ...jobs, stored },
      maxBytes: importMaxBytes,
      maxLines: importMaxLines,
      uploadTimeoutMs: importUploadTimeoutMs,
    },
    policy,
    emit,
    timeoutMs,
    indexed: indexedMetadata(config),
    tokenClaims: createTokenClaims(config),
    passwords: {
      newPassword: newPasswordOf(config.auth.passwordHash),
      refuseIdentity: refuseKnownPassword,
      none: NO_PASSWORD,
      hash: (password) => auth.hashPassword(password),
      foreignHash,
      importHash: (foreign) => importHash(foreign, config.auth.bcryptCost),
      exportHash,
    },
    invitations: {
      assertMailConfigured: () => auth.invitations.assertMailConfigured(),
      inviteLater: (userId, cause) => auth.invitations.inviteLater(userId, cause),
    },
    requesterOf: principalOf,
    assertRecentLogin: (req) => auth.assertRecentLogin(req),
    serviceScopes: (id) => auth.serviceScopes(id),
    cleanUp: (accounts) => auth.cleanUp(accounts),
  });
  const compromised = own('compromised passwords', openCompromisedPasswords(config, log));
  const auth: Auth = createAuth({
    ...deps,
    compromised,
    policy,
    emit,
    keys,
    users: users.accounts,
  });
  bus.subscribe(users.subscribers ?? {});
  bus.subscribe(auth.subscribers ?? {});
  const jobRoutes = createJobs({
    ...{ ...jobs, draining: deps.draining, mayStill: auth.mayStill, emit },
    requesterOf: principalOf,
    assertRecentLogin: auth.assertRecentLogin,
  });
  const eventLog = createEventLog(connection, { timeoutMs });
  const userOutbox = createUserOutbox(connection, { timeoutMs });
  const removalOutbox = createRemovalOutbox(connection, { timeoutMs, existing: users.existing });
  const mover = createMover(eventLog, [userOutbox, removalOutbox], measureMoves(metrics, now));
  const leases = createLocks(connection, { ttlMs: PUMP_LEASE_MS, timeoutMs });
  const events = createEvents({
    ...{ mover, eventLog, own, log, now },
    anyPending: createPendingLook(connection, [removalOutbox, userOutbox], timeoutMs),
    locks: leases,
    keepMs: config.events.keepDays * DAY_MS,
    types: USER_EVENTS,
    issuer: issuerOf(config),
    streamsMax: config.events.streamsMax,
    draining: deps.draining,
    mayStill: auth.mayStill,
    redisStream: deps.sendsMail ? openEventStream(deps) : undefined,
  });
  const webhooks = createWebhooks({
    ...{ connection, eventLog, own, log, metrics, emit, now, locks: leases },
    ...{ secrets: deps.secrets, settings: config.webhooks, types: USER_EVENTS },
    render: createRenderer(issuerOf(config)),
    allowsHttp: config.server.environment !== 'production',
    keepDays: config.events.keepDays,
    operationTimeoutMs: timeoutMs,
    requesterOf: principalOf,
    assertRecentLogin: auth.assertRecentLogin,
  });
  const privacy = createPrivacy({
    ...{ removals, own, log, metrics, timeoutMs, emit, now },
    requesterOf: principalOf,
    assertRecentLogin: auth.assertRecentLogin,
    contributors: [users, auth, audit, jobRoutes, events, webhooks],
    userExists: users.exists,
    sweeps: deps.sendsMail,
  });
  bus.subscribe(privacy.subscribers ?? {});
  if (deps.sendsMail) {
    events.start();
    webhooks.start();
  }
  const isServed = (name: string) => (config.server.modules as readonly string[]).includes(name);
  const served: Served[] = [users, auth, audit].filter(({ name }) => isServed(name));
  // The jobs are imports of users. Last: their paths are rare.
  if (isServed(users.name)) {
    served.push({ routes: auth.userRoutes }, jobRoutes, privacy, events, webhooks);
  }
  served.push({ routes: [], ...openAdminPage(config, policy) });
  if (deps.runsJobs) jobs.start(users.jobs ?? {});
  return { users, auth, served, emit, jobs };
}
