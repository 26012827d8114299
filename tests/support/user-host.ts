import type { Connection } from 'mongoose';
import { parseConfig } from '../../src/kernel/config/config';
import { createDeadlines } from '../../src/kernel/deadline';
import { createPolicy } from '../../src/kernel/permissions';
import { NO_PASSWORD } from '../../src/modules/auth';
import type { EmitEvent } from '../../src/modules/domain-events';
import { cachedUsers } from '../../src/modules/users/cached';
import { createUserModel } from '../../src/modules/users/model';
import { createUserRepository, type UserRepository } from '../../src/modules/users/repository';
import { createUserService, type UserService } from '../../src/modules/users/service';
import { createCache } from '../../src/platform/cache/cache';
import type { Cache } from '../../src/platform/cache/port';
import { boundCalls } from '../../src/platform/mongo/bounded';
import { connectDatabase } from '../../src/platform/mongo/connection';
import { createLocks, lockTimes } from '../../src/platform/mongo/locks';
import { quiet } from './cache-fixture';

export interface UserHostOptions {
  /** Time limit of one operation; the deadline of a write is 100 ms longer. */
  readonly timeoutMs?: number;
  /**
   * Disables a safeguard: a timer bounds writes without cancelling them, as in earlier versions.
   */
  readonly planted?: 'no-deadline' | undefined;
  readonly lockTtlMs?: number;
  readonly repository?: (repository: UserRepository) => UserRepository;
  readonly emit?: EmitEvent;
}

/** The users service of one host, with its own connection and cache. */
export interface UserHost {
  readonly users: UserService;
  readonly repository: UserRepository;
  readonly cache: Cache;
  readonly connection: Connection;
  close(): Promise<void>;
}

const BOUND_GRACE_MS = 100;
const FAR_AWAY = new Date('2999-01-01T00:00:00Z');

export async function startUserHost(uri: string, options: UserHostOptions = {}): Promise<UserHost> {
  const { timeoutMs = 2000, planted, lockTtlMs, repository: changed = (one) => one } = options;
  const { emit = () => {} } = options;
  const settings = {
    ...parseConfig({ NODE_ENV: 'test', MONGODB_URI: uri }).database,
    operationTimeoutMs: timeoutMs,
  };
  const database = await connectDatabase(uri, settings, quiet);
  const cache = createCache({
    settings: parseConfig({ NEAR_CACHE_TTL_MS: '5' }).cache,
    log: quiet,
  });
  const stored = createUserRepository(createUserModel(database.connection), { timeoutMs });
  const repository = changed(planted === 'no-deadline' ? unfenced(stored) : stored);
  const times = lockTimes(timeoutMs);
  const users = createUserService({
    policy: createPolicy(),
    repository,
    users: cachedUsers(cache, repository.find),
    cache,
    emit,
    noPassword: NO_PASSWORD,
    locks: createLocks(database.connection, { ...times, ttlMs: lockTtlMs ?? times.ttlMs }),
    now: () => new Date(),
    startDeadline: createDeadlines(planted === 'no-deadline' ? 60_000 : timeoutMs + BOUND_GRACE_MS),
    timeoutMs: planted === 'no-deadline' ? 60_000 : timeoutMs,
  });
  return {
    users: planted === 'no-deadline' ? boundCalls(users, timeoutMs + BOUND_GRACE_MS) : users,
    repository: stored,
    cache,
    connection: database.connection,
    async close() {
      await cache.close();
      await database.close();
    },
  };
}

/** Commands that the database executes even when they arrive late. */
function unfenced(repository: UserRepository): UserRepository {
  return {
    ...repository,
    update: (seen, attempt, changes, rest) =>
      repository.update(seen, { ...attempt, until: FAR_AWAY }, changes, rest),
    remove: (seen, attempt) => repository.remove(seen, { ...attempt, until: FAR_AWAY }),
    endSessions: (seen, attempt, end) =>
      repository.endSessions(seen, { ...attempt, until: FAR_AWAY }, end),
    revokeSessions: (attempt, revocation) =>
      repository.revokeSessions({ ...attempt, until: FAR_AWAY }, revocation),
  };
}
