import type { Request } from 'express';
import type { Connection } from 'mongoose';
import type { Secrets } from '../../kernel/crypto/encryption';
import { createDeadlines } from '../../kernel/deadline';
import type { Closable } from '../../kernel/lifecycle';
import type { Cache } from '../../platform/cache/port';
import type { Route } from '../../platform/http/endpoint';
import type { Module } from '../../platform/module';
import { boundCalls, DRIVER_GRACE_MS } from '../../platform/mongo/bounded';
import type { Locks } from '../../platform/mongo/locks';
import type { PendingEvent } from '../../platform/outbox/pending-event';
import type { Logger } from '../../platform/telemetry/logger';
import type { DomainEvents, EmitEvent } from '../domain-events';
import { type Accounts, createAccounts } from './accounts';
import { createBanExpiry, findEndingBans } from './administration/ban-expiry';
import { createUserAdministrationRoutes } from './administration/routes';
import { createUserAdministration, type UserAdministration } from './administration/summaries';
import { type Bulk, type BulkDependencies, createBulk } from './bulk';
import type { AfterWriteDependencies } from './bulk/after-write';
import type { PresentRequesterDependencies } from './bulk/present-requester';
import { cachedUsers } from './cached';
import { createLoginNotes } from './last-login';
import type { TokenClaimsOf } from './metadata/claims';
import { createUserModel } from './model';
import { createPendingEnds } from './pending-ends';
import { createUserExport } from './personal-data';
import { announcingRemovals, createUserRepository, type UserRepository } from './repository';
import { createUserRoutes, type UserRoutesDependencies } from './routes';
import { createUserList } from './search/list';
import { createUserService, type UserService } from './service';
import { settlingEnds, type TokensEnded } from './settled-ends';
import { usersStorage } from './storage';

export { banEnd, banReason } from './administration/contract';
export type { UserSummary } from './administration/summaries';
export { createPreparer } from './bulk/prepare';
export type { PreparedRows, PrepareTask } from './bulk/rows';
export { createTokenClaims } from './metadata/claims';
export { indexedMetadata } from './metadata/indexed';
export type { UserRepository } from './repository';
export { usersStorage } from './storage';
export { createUserOutbox, USER_EVENTS } from './user-events';

export interface UsersDependencies
  extends Pick<
      UserRoutesDependencies,
      'indexed' | 'passwords' | 'invitations' | 'policy' | 'requesterOf' | 'assertRecentLogin'
    >,
    Pick<PresentRequesterDependencies, 'serviceScopes'>,
    Pick<AfterWriteDependencies, 'cleanUp'> {
  /** Of access tokens, by the settings. */
  readonly tokenClaims: TokenClaimsOf;
  readonly connection: Connection;
  readonly cache: Cache;
  readonly locks: Locks;
  readonly bulk: BulkDependencies;
  readonly emit: EmitEvent;
  /** Makes the purge of the user's data durable. Before each removal. */
  readonly announceRemoval: (userId: string, events: readonly PendingEvent[]) => Promise<void>;
  /** After each write that ends tokens, before it is acknowledged. */
  readonly tokensEnded: TokensEnded;
  /** Those of the ids that were users, and are being removed. */
  readonly removedAmong: (ids: readonly string[]) => Promise<ReadonlySet<string>>;
  /** Of the deployment: the cursors of lists are signed under them. */
  readonly secrets: Secrets;
  /** Longest time of one operation of the database. */
  readonly timeoutMs: number;
  readonly log: Logger;
  readonly own: <T extends Closable>(name: string, resource: T) => T;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

export interface Users extends Module<DomainEvents> {
  readonly service: UserService;
  /** From the primary of the database, past every cache. */
  exists(id: string): Promise<boolean>;
  existing(ids: readonly string[]): Promise<ReadonlySet<string>>;
  readonly administration: UserAdministration;
  /** For the module that authenticates. */
  readonly accounts: Accounts;
  readonly bulk: Pick<Bulk, 'requestImport' | 'exportUsers'>;
  /** Lifts bans at their end, until the process closes. */
  start(): void;
}

/** The users without their cache and events: for work before the service runs. */
export const openUserRepository = (
  connection: Connection,
  options: { timeoutMs: number },
): UserRepository => createUserRepository(createUserModel(connection), options);

/** Puts the parts of the users module together. No I/O. */
export function createUsers(deps: UsersDependencies): Users {
  const { connection, cache, timeoutMs, now } = deps;
  const boundMs = timeoutMs + DRIVER_GRACE_MS;
  const model = createUserModel(connection);
  const repository = announcingRemovals(
    boundCalls(createUserRepository(model, { timeoutMs }), boundMs),
    deps.announceRemoval,
  );
  const cached = cachedUsers(cache, repository.find);
  // Not bounded as a whole: each phase of a write is, and one that is done must not be called a
  // failure because Redis hangs.
  const startDeadline = createDeadlines(boundMs);
  const common = {
    ...{ repository, users: cached, cache, startDeadline, timeoutMs },
    now: () => new Date(now()),
  };
  /** A service account has no login: its token alone stands for it. */
  const assertRecentLogin = async (req: Request) => {
    if (deps.requesterOf(req).account !== undefined) await deps.assertRecentLogin(req);
  };
  const { locks, policy, emit } = deps;
  const service = settlingEnds(
    createUserService({ ...common, locks, policy, emit, noPassword: deps.passwords.none }),
    deps.tokensEnded,
  );
  const { secrets, indexed } = deps;
  const list = boundCalls(
    createUserList(model, cache, { timeoutMs, secrets, metadata: indexed }),
    boundMs,
  );
  const bulk = createBulk(deps.bulk, { ...deps, assertRecentLogin, model, accounts: repository });
  const expiry = createBanExpiry({
    endingBefore: boundCalls({ find: findEndingBans(model, { timeoutMs }) }, boundMs).find,
    lift: service.liftOverBan,
    log: deps.log,
    now,
  });
  return {
    name: 'users',
    storage: usersStorage,
    personalData: createUserExport(repository),
    async purge({ userId }) {
      // Redis holds what a write made invalid until it expires. The user that is no more takes the
      // place of the one that was.
      await cached.get(userId);
    },
    exists: (id) => repository.exists(id),
    existing: (ids) => repository.existing(ids),
    service,
    start() {
      deps.own('ban expiry', expiry).start();
    },
    subscribers: {
      StatusChanged({ until }) {
        if (until !== undefined) expiry.look();
      },
    },
    administration: createUserAdministration(model, repository, { timeoutMs }),
    accounts: createAccounts({
      ...{ service, repository, cached, model, timeoutMs },
      indexed: deps.indexed,
      noteLogin: createLoginNotes(common),
      tokenClaims: deps.tokenClaims,
      tokensEnded: deps.tokensEnded,
      pendingEnds: createPendingEnds(model, { timeoutMs }),
    }),
    bulk,
    jobs: bulk.jobs,
    routes: namesFirst([
      ...createUserRoutes({ ...deps, assertRecentLogin, service, list, startDeadline }),
      ...bulk.routes,
      ...createUserAdministrationRoutes({ ...deps, assertRecentLogin, service, startDeadline }),
    ]),
  };
}

/** `/api/users/import` before `/api/users/:id`, which would take its last part for an id. */
function namesFirst(routes: readonly Route[]): Route[] {
  const hasId = ({ endpoint: { path } }: Route) => path.includes('/:id');
  return [...routes.filter((one) => !hasId(one)), ...routes.filter(hasId)];
}
