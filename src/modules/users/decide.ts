import { setTimeout as pause } from 'node:timers/promises';
import type { Deadline, StartDeadline } from '../../kernel/deadline';
import { Problem, problems } from '../../kernel/errors';
import { backoffMs } from '../../kernel/lifecycle';
import { type Cache, type CacheWriteOptions, REDIS_SHARE_MS } from '../../platform/cache/port';
import { isDuplicateKey, isDuplicateOf, isInDoubt } from '../../platform/mongo/errors';
import { isLockBusy } from '../../platform/mongo/locks';
import { LIST_GROUP, userGroup } from './cached';
import { EXTERNAL_ID_INDEX } from './model';
import type { UserRepository } from './repository';
import { type Attempt, attemptOn, type Snapshot } from './snapshot';

/**
 * A write that was decided on: null, and nothing done, where the user is no longer what the
 * decision rests on. `attempt` is asked right before the database is; it throws when the time is
 * over.
 */
export type Commit<R> = (attempt: () => Attempt, within: Deadline) => Promise<R | null>;

/** Throws the problem that refuses the write. */
type Decide<R> = (seen: Snapshot) => Commit<R>;

export interface Decider {
  /** Of what clients can see. Throws 404. */
  write<R>(id: string, within: Deadline | undefined, decide: Decide<R>): Promise<R>;
  /** Of which sessions stand: pages of the list do not change. False: there is no such user. */
  sessions(id: string, decide: Decide<boolean>): Promise<boolean>;
  /** A write that rests on nothing. */
  unconditionally<R>(id: string, commit: () => Promise<R>): Promise<R>;
}

export interface DeciderDependencies {
  readonly repository: UserRepository;
  readonly cache: Cache;
  readonly startDeadline: StartDeadline;
  readonly timeoutMs: number;
  /** A write of this user was answered `write_unconfirmed`: no other event tells of it. */
  readonly onUnconfirmed?: (userId: string) => void;
}

const emailTaken = () =>
  problems.conflict('email_taken', 'Another account has this e-mail address.');
const externalIdTaken = () =>
  problems.conflict('external_id_taken', 'Another account has this external_id.');
export const noSuchUser = () => problems.notFound('There is no such user.', 'user_not_found');
const late = () =>
  problems.unavailable(
    'database_unavailable',
    'The database did not answer in time; nothing was changed.',
    1,
  );

/**
 * How a user is written: read, decide, and write only on the state that was read. Where another
 * write came between, all of it begins again, the decision too, until the deadline. So no decision
 * is carried out on a user that it was not taken on.
 */
export function createDecider({
  repository,
  cache,
  startDeadline,
  timeoutMs,
  onUnconfirmed = () => {},
}: DeciderDependencies): Decider {
  /** Cached reads of `groups` see the write before it is over. */
  function write<R>(
    id: string,
    groups: readonly string[],
    commit: () => Promise<R>,
    options: CacheWriteOptions,
  ): Promise<R> {
    return cache.write(groups, commit, options).catch((error: unknown) => {
      if (isUnconfirmed(error)) onUnconfirmed(id);
      throw error;
    });
  }

  async function look(id: string, within: Deadline): Promise<Snapshot> {
    const leftMs = within.leftMs();
    if (leftMs === 0) throw late();
    const seen = await repository.look(id, leftMs);
    if (seen === null) throw noSuchUser();
    return seen;
  }

  async function decided<R>(
    id: string,
    groups: readonly string[],
    within: Deadline,
    decide: Decide<R>,
  ): Promise<R> {
    // Refused before the caches hear of it.
    let seen = await look(id, within);
    let commit = decide(seen);
    /** A command was sent whose outcome is not known. */
    let inDoubt = false;
    const attempt = (rest: Deadline) => (): Attempt => {
      const one = attemptOn(seen, rest, timeoutMs, performance.now());
      if (one === undefined) throw late();
      inDoubt = true;
      return one;
    };
    const entering = performance.now();
    return write(
      id,
      groups,
      async () => {
        // The time that Redis took is not the database's; any longer time was the epoch store's,
        // which is in the database.
        const rest = within.extendedBy(Math.min(performance.now() - entering, REDIS_SHARE_MS));
        for (let attempts = 0; ; attempts += 1) {
          const work = commit(attempt(rest), rest).catch(tellingDoubt);
          const { result, refusal } = await outcomeOf(work);
          if (result !== null) return result;
          inDoubt = false;
          await pause(backoffMs(attempts, 1, 50));
          if (rest.leftMs() === 0) throw refusal;
          seen = await look(id, rest);
          commit = decide(seen);
        }
      },
      { deadline: within, wroteNothing: (error) => !inDoubt || isHarmless(error) },
    );
  }

  return {
    write: (id, within, decide) =>
      mapped(decided(id, [userGroup(id), LIST_GROUP], within ?? startDeadline(), decide)),
    async sessions(id, decide) {
      try {
        return await decided(id, [userGroup(id)], startDeadline(), decide);
      } catch (error) {
        if (error instanceof Problem && error.status === 404) return false;
        throw error;
      }
    },
    unconditionally(id, commit) {
      const telling = () => commit().catch(tellingDoubt);
      const options = { wroteNothing: isHarmless };
      return mapped(write(id, [userGroup(id), LIST_GROUP], telling, options));
    },
  };
}

/**
 * null: another write came in between, or holds the lock; `refusal`: the error to throw at the end.
 */
async function outcomeOf<R>(
  work: Promise<R | null>,
): Promise<{ readonly result: R | null; readonly refusal: Problem }> {
  try {
    return { result: await work, refusal: problems.contended() };
  } catch (error) {
    if (isLockBusy(error)) return { result: null, refusal: error };
    throw error;
  }
}

/** `database_unavailable` would say that nothing was changed. */
function tellingDoubt(error: unknown): never {
  throw isInDoubt(error) ? problems.unconfirmed(error) : error;
}

const isUnconfirmed = (error: unknown) =>
  error instanceof Problem && error.code === 'write_unconfirmed';

/** Nothing was written: the caches may be used again at once. */
const isHarmless = (error: unknown) =>
  isDuplicateKey(error) || (error instanceof Problem && !isUnconfirmed(error));

async function mapped<R>(work: Promise<R>): Promise<R> {
  try {
    return await work;
  } catch (error) {
    if (isDuplicateOf(error, EXTERNAL_ID_INDEX)) throw externalIdTaken();
    if (isDuplicateKey(error)) throw emailTaken();
    throw error;
  }
}
