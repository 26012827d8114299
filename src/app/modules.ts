import { createPolicy } from '../kernel/permissions';
import { auditStorage, createAudit } from '../modules/audit';
import {
  type Auth,
  authStorage,
  type KeyRing,
  principalOf,
  type RemoteKeyRing,
} from '../modules/auth';
import type { DomainEvents, EmitEvent } from '../modules/domain-events';
import { eventsStorage } from '../modules/events';
import { createJobs, jobsStorage } from '../modules/jobs';
import { createPrivacy, createRemovals, privacyStorage } from '../modules/privacy';
import { type Users, usersStorage } from '../modules/users';
import { webhooksStorage } from '../modules/webhooks';
import { createEventBus } from '../platform/events';
import type { Module, ModuleStorage } from '../platform/module';
import { openAdminPage } from './admin-page';
import { connectAccounts } from './connect/accounts';
import type { ModulesDependencies, Shared } from './connect/dependencies';
import { connectEvents } from './connect/events';
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

type Served = Pick<Module<DomainEvents>, 'routes' | 'pages'>;

export interface Modules {
  readonly users: Users;
  readonly auth: Auth;
  /** By MODULES. The router tries their routes in this order: the most frequent come first. */
  readonly served: readonly Served[];
  readonly emit: EmitEvent;
  readonly jobs: DurableJobs;
}

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
  const stored = audit.flush;
  const shared: Shared = {
    ...{ ...deps, timeoutMs, emit, stored },
    policy: createPolicy(config.auth.roles),
    jobs: createDurableJobs({ ...deps, stored }),
    removals: createRemovals(connection, { timeoutMs }),
  };
  const { users, auth } = connectAccounts(shared, keys);
  bus.subscribe(users.subscribers ?? {});
  bus.subscribe(auth.subscribers ?? {});
  const { jobs, privacy, events, webhooks } = connectOthers(shared, { users, auth, audit });
  bus.subscribe(privacy.subscribers ?? {});
  if (deps.sendsMail) {
    events.start();
    webhooks.start();
  }
  if (deps.runsJobs) shared.jobs.start(users.jobs ?? {});
  // The jobs are imports of users. Last: their paths are rare.
  const withUsers = [{ routes: auth.userRoutes }, jobs, privacy, events, webhooks];
  const served = servedBy(shared, [users, auth, audit], withUsers);
  return { users, auth, served, emit, jobs: shared.jobs };
}

interface Accounts {
  readonly users: Users;
  readonly auth: Auth;
  readonly audit: Module<DomainEvents>;
}

/** The modules that are served with the users. */
function connectOthers(shared: Shared, { users, auth, audit }: Accounts) {
  const { removals, own, log, metrics, timeoutMs, emit, now, draining } = shared;
  const ofRequests = { requesterOf: principalOf, assertRecentLogin: auth.assertRecentLogin };
  const jobs = createJobs({
    ...shared.jobs,
    ...ofRequests,
    draining,
    mayStill: auth.mayStill,
    emit,
  });
  const { events, webhooks } = connectEvents(shared, users, auth);
  const privacy = createPrivacy({
    ...{ removals, own, log, metrics, timeoutMs, emit, now },
    ...ofRequests,
    contributors: [users, auth, audit, jobs, events, webhooks],
    userExists: users.exists,
    sweeps: shared.sendsMail,
  });
  return { jobs, privacy, events, webhooks };
}

/** The modules that MODULES chooses; `withUsers` goes with the users. */
function servedBy(
  { config, policy }: Shared,
  main: readonly Module<DomainEvents>[],
  withUsers: readonly Served[],
): Served[] {
  const isServed = (name: string) => (config.server.modules as readonly string[]).includes(name);
  return [
    ...main.filter(({ name }) => isServed(name)),
    ...(isServed('users') ? withUsers : []),
    { routes: [], ...openAdminPage(config, policy) },
  ];
}
