import { trusted } from 'mongoose';
import { foldEmail, foldName } from '../../kernel/fold';
import { isBefore } from '../../platform/mongo/expressions';
import type { Changes, EndSessions, UpdateOptions } from './changes';
import { pendingAll } from './pending-ends';
import { searchFields } from './search/search-keys';
import { type Attempt, type Snapshot, unchanged } from './snapshot';
import { roomFor, type SeenMembers, updateEvents } from './user-events';

export const conditionsOf = (
  seen: Snapshot,
  attempt: Attempt,
  changes: Changes,
  { endSessions, sameSessions }: UpdateOptions,
) => ({
  ...unchanged(seen, attempt),
  ...roomFor(endSessions),
  ...standing(endSessions),
  // The event of the end names the version.
  ...(sameSessions === true || endSessions !== undefined
    ? { sessionVersion: seen.sessionVersion }
    : {}),
  // A new hash at a login leaves the revision as it is.
  ...(changes.passwordHash === undefined ? {} : { passwordHash: seen.passwordHash }),
});

export function changeOf(
  seen: SeenMembers & Pick<Snapshot, 'name' | 'email' | 'sessionVersion'>,
  changes: Changes,
  { endSessions, now }: UpdateOptions,
) {
  const { name, email, ...rest } = changes;
  const endsAll = endSessions !== undefined && endSessions.keep === undefined;
  const unset = {
    ...absent(rest),
    ...(endsAll ? { keptSession: 1 as const } : {}),
  };
  return {
    $set: {
      ...present(rest),
      ...(name === undefined ? {} : foldedName(name)),
      ...(email === undefined ? {} : foldedEmail(email)),
      ...verifiedBefore(seen, changes),
      // The filter names the revision: the other of the two is still what was seen.
      ...(name === undefined && email === undefined
        ? {}
        : searchFields(name ?? seen.name, email ?? seen.email)),
      ...(endSessions === undefined ? {} : ended(endSessions).$set),
      // The filter names the session version.
      ...(changes.passwordHash === undefined || endSessions === undefined
        ? {}
        : { passwordVersion: seen.sessionVersion + 1 }),
      updatedAt: now,
    },
    ...(Object.keys(unset).length === 0 ? {} : { $unset: unset }),
    $push: { outbox: { $each: updateEvents(seen, changes, { endSessions, now }) } },
    $inc: { rev: 1, ...(endSessions === undefined ? {} : { sessionVersion: 1 }) },
  };
}

/** A verified address that is left, or no longer counts as verified, has had its owner. */
const verifiedBefore = (
  { emailVerified }: SeenMembers,
  changes: Changes,
): { readonly hadVerifiedEmail?: true } =>
  emailVerified === true && (changes.email !== undefined || changes.emailVerified === false)
    ? { hadVerifiedEmail: true }
    : {};

type Without<T> = { readonly [K in keyof T]?: Exclude<T[K], null> };

/** The members that are stored. */
export const present = <T extends object>(changes: T): Without<T> =>
  Object.fromEntries(
    Object.entries(changes).filter(([, value]) => value !== null && value !== undefined),
  ) as Without<T>;

/** The members that are removed. */
const absent = (changes: object): Record<string, 1> =>
  Object.fromEntries(
    Object.entries(changes)
      .filter(([, value]) => value === null)
      .map(([member]) => [member, 1]),
  );

/**
 * All older tokens are refused by their version: sessions that were revoked one by one need not be
 * remembered.
 */
export const ended = ({ keep }: EndSessions) => ({
  $set: {
    revokedSessions: [],
    ...(keep === undefined ? {} : { keptSession: keep }),
    ...pendingAll(),
  },
});

/**
 * `sessionStands` as a condition of the write itself: a session that was ended meanwhile must not
 * become the one that is kept. The operators are ours, not a request's.
 */
export function standing(end: EndSessions | undefined) {
  if (end?.keep === undefined) return {};
  const { sid, ver } = end.keep;
  return {
    status: 'active' as const,
    'revokedSessions.sid': trusted({ $ne: sid }),
    $and: [
      {
        $or: [
          { sessionVersion: ver },
          { 'keptSession.sid': sid, 'keptSession.ver': trusted({ $lte: ver }) },
        ],
      },
    ],
  };
}

export const foldedName = (name: string) => ({ name, nameKey: foldName(name) });
export const foldedEmail = (email: string) => ({ email, emailKey: foldEmail(email) });

/** The last login that is kept is older than this, by the database's clock. */
export const lastLoginBefore = ({ until }: Attempt, intervalMs: number) => ({
  $expr: {
    $and: [
      { $lt: [{ $ifNull: ['$lastLoginAt', new Date(0)] }, { $subtract: ['$$NOW', intervalMs] }] },
      isBefore(until),
    ],
  },
});
