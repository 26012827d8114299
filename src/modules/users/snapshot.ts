import { trusted } from 'mongoose';
import type { Deadline } from '../../kernel/deadline';
import { foldEmail } from '../../kernel/fold';
import type { Role } from '../../kernel/permissions';
import { isBefore } from '../../platform/mongo/expressions';
import type { PendingEvent } from '../../platform/outbox/pending-event';
import { isEmailVerified, type KeptSession, type UserDocument } from './model';
import {
  PRIVATE_PROJECTION,
  type PrivateFields,
  type PrivateView,
  privateViewOf,
  type UserView,
  VIEW_PROJECTION,
  type ViewedFields,
  viewOf,
} from './view';

/** Members that a document need not have. */
type StoredMembers = Readonly<
  Pick<
    UserDocument,
    | 'userMetadata'
    | 'appMetadata'
    | 'privateMetadata'
    | 'externalId'
    | 'lastLoginAt'
    | 'bannedUntil'
    | 'banReason'
    | 'mustChangePassword'
  >
>;

/**
 * A user as one read of MongoDB saw it: the state that a decision rests on, and that the write then
 * names in its filter.
 */
export interface Snapshot extends StoredMembers {
  readonly id: string;
  /** As clients saw it. */
  readonly view: UserView;
  /** As administrators see the rest of another user. */
  readonly hidden: PrivateView;
  readonly role: Role;
  readonly status: 'active' | 'banned';
  readonly rev: number;
  readonly name: string;
  readonly email: string;
  readonly emailVerified: boolean;
  readonly passwordHash: string;
  readonly sessionVersion: number;
  readonly kept: KeptSession | null;
  readonly revoked: readonly string[];
  /** Of its writes, not in the event log yet. */
  readonly pending: readonly PendingEvent[];
  /** The database's time at the read. */
  readonly readAt: Date;
  /** This process's monotonic time when the answer was here, in ms. */
  readonly seenMs: number;
}

/** One attempt at a write. */
export interface Attempt {
  readonly timeoutMs: number;
  /**
   * By the database's clock. A command that arrives later is refused there: a delayed command has
   * no effect after its caller has been told that it failed.
   */
  readonly until: Date;
}

/** `readAt: '$$NOW'` asks the database for its time. */
export const SNAPSHOT_PROJECTION = {
  ...VIEW_PROJECTION,
  ...PRIVATE_PROJECTION,
  mustChangePassword: 1,
  role: 1,
  status: 1,
  rev: 1,
  name: 1,
  email: 1,
  passwordHash: 1,
  sessionVersion: 1,
  keptSession: 1,
  revokedSessions: 1,
  outbox: 1,
  readAt: '$$NOW',
} as const;

export type SnapshotFields = Pick<
  UserDocument,
  | '_id'
  | 'role'
  | 'status'
  | 'rev'
  | 'name'
  | 'email'
  | 'passwordHash'
  | 'sessionVersion'
  | 'keptSession'
  | 'revokedSessions'
  | 'outbox'
> &
  ViewedFields &
  StoredMembers &
  PrivateFields & { readonly readAt: Date };

export function toSnapshot(fields: SnapshotFields, seenMs: number): Snapshot {
  const { _id, keptSession, revokedSessions, outbox, ...rest } = fields;
  return {
    ...rest,
    emailVerified: isEmailVerified(fields),
    view: viewOf(fields),
    hidden: privateViewOf(fields),
    id: _id.toHexString(),
    kept: keptSession ?? null,
    revoked: revokedSessions.map(({ sid }) => sid),
    pending: outbox ?? [],
    seenMs,
  };
}

/**
 * The attempt that may begin now: at most `operationTimeoutMs`, and no longer than what is left.
 * Undefined: nothing is. The database's clock showed `readAt` before `seenMs`, so `until` passes
 * there before the attempt is given up here; no clock of this host is asked.
 */
export function attemptOn(
  seen: Snapshot,
  within: Deadline,
  operationTimeoutMs: number,
  nowMs: number,
): Attempt | undefined {
  const timeoutMs = Math.floor(Math.min(operationTimeoutMs, within.leftMs()));
  if (timeoutMs < 1) return undefined;
  return { timeoutMs, until: new Date(seen.readAt.getTime() + nowMs - seen.seenMs + timeoutMs) };
}

/**
 * Only while the user is what was seen, and the attempt's time is not over. The operators are ours,
 * not a request's.
 */
export const unchanged = ({ id, rev, role, status }: Snapshot, attempt: Attempt) => ({
  _id: id,
  rev,
  role,
  status,
  ...notLate(attempt),
});

/** The same, and no event has come that its removal would not take along. */
export const unchangedWithEvents = (seen: Snapshot, attempt: Attempt) => {
  const known = { $literal: seen.pending.map(({ id }) => id) };
  const isKnown = { $setIsSubset: [{ $ifNull: ['$outbox.id', []] }, known] };
  return {
    ...unchanged(seen, attempt),
    $expr: trusted({ $and: [isBefore(attempt.until), isKnown] }),
  };
};

export const notLate = ({ until }: Attempt) => ({ $expr: trusted(isBefore(until)) });

/** Whether the account has (still) this address. */
export const hasEmail = ({ email }: Snapshot, other: string): boolean =>
  foldEmail(email) === foldEmail(other);
