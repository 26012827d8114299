import { isDeepStrictEqual } from 'node:util';
import type { Connection } from 'mongoose';
import { Types } from 'mongoose';
import { createOutboxSource, type OutboxSource } from '../../platform/outbox/outbox-source';
import {
  type EndedSessions,
  hasRoomFor,
  type PendingEvent,
  pendingEvent,
  singleEvent,
} from '../../platform/outbox/pending-event';
import type { Changes, EndSessions } from './changes';
import { USERS_COLLECTION } from './model';
import type { Snapshot } from './snapshot';
import type { PrivateView, UserView } from './view';

/** The events about users that other services get. */
export const USER_EVENTS = [
  'user.created',
  'user.updated',
  'user.removed',
  'user.sessions_ended',
] as const;
export type UserEvent = (typeof USER_EVENTS)[number];

const REMOVED: UserEvent = 'user.removed';

/** Members of a user as the API shows it. A hash is never more than `password`. */
const FIELDS = {
  name: 'name',
  email: 'email',
  emailVerified: 'email_verified',
  role: 'role',
  status: 'status',
  passwordHash: 'password',
  bannedUntil: 'ban',
  banReason: 'ban',
  mustChangePassword: 'password_change_required',
  userMetadata: 'user_metadata',
  appMetadata: 'app_metadata',
  privateMetadata: 'private_metadata',
  externalId: 'external_id',
} as const satisfies Record<keyof Changes, keyof UserView | keyof PrivateView | 'password'>;

/** Where nothing takes the events away, writes are refused rather than events lost. */
const PENDING_MAX = 64;
/** Ends of sessions go on for longer: nobody keeps a session because of it. */
const PENDING_ENDS_MAX = 256;
/**
 * Bans, other roles and new passwords for longer still: a session is enough to make changes, and
 * end sessions, until there is no more room for those.
 */
const PENDING_SECURITY_MAX = 512;
const roomForChange = hasRoomFor(PENDING_MAX);
export const roomForEnd = hasRoomFor(PENDING_ENDS_MAX);
const roomForSecurity = hasRoomFor(PENDING_SECURITY_MAX);

/** Of an update. */
export const roomFor = (endSessions: EndSessions | undefined) =>
  endSessions === undefined ? roomForChange : roomForSecurity;

const userEvent = (type: UserEvent, at: Date, rest?: Parameters<typeof pendingEvent>[2]) =>
  pendingEvent(type, at, rest);

export const createdEvent = (at: Date): PendingEvent =>
  userEvent('user.created', at, { revision: 1 });

/** Of one user the same for each remover, so that the log has it once. */
export const removedEvent = (
  { id, rev, view }: Pick<Snapshot, 'id' | 'rev' | 'view'>,
  at: Date,
): PendingEvent => singleEvent(`${id} ${view.created_at}`, REMOVED, at, { revision: rev + 1 });

/** `sessionVersion`: after the end. */
export const endedEvent = (at: Date, sessionVersion: number, { keep }: EndSessions): PendingEvent =>
  userEvent('user.sessions_ended', at, {
    sessions: { version: sessionVersion, ...(keep === undefined ? {} : { kept: keep.sid }) },
  });

/** Of one session, or of all: which of them only the database knows. */
export const revokedEvent = (at: Date, sessions: EndedSessions | object): PendingEvent =>
  userEvent('user.sessions_ended', at, { sessions });

/** As far as a decision has seen the user. */
export type SeenMembers = Pick<Snapshot, 'rev' | 'sessionVersion'> & Partial<Snapshot>;

export function updateEvents(
  seen: SeenMembers,
  changes: Changes,
  { endSessions, now }: { readonly endSessions?: EndSessions | undefined; readonly now: Date },
): PendingEvent[] {
  const updated = userEvent('user.updated', now, {
    revision: seen.rev + 1,
    fields: changedFields(seen, changes),
  });
  return endSessions === undefined
    ? [updated]
    : [updated, endedEvent(now, seen.sessionVersion + 1, endSessions)];
}

function changedFields(seen: Partial<Snapshot>, changes: Changes): string[] {
  const isOther = (member: keyof Changes) =>
    changes[member] !== undefined &&
    !isDeepStrictEqual(seen[member] ?? null, changes[member] ?? null);
  const changed = (Object.keys(FIELDS) as (keyof Changes)[]).filter(isOther);
  return [...new Set(changed.map((one) => FIELDS[one]))];
}

export const createUserOutbox = (
  connection: Connection,
  { timeoutMs }: { readonly timeoutMs: number },
): OutboxSource =>
  createOutboxSource(connection, {
    collection: USERS_COLLECTION,
    timeoutMs,
    idOf: (subject) => new Types.ObjectId(subject),
  });
