import { hash } from 'node:crypto';
import { Types, trusted } from 'mongoose';

/** Sessions that ended: their access tokens are not accepted any more. */
export interface EndedSessions {
  /** These sessions. Absent: all that `version` says. */
  readonly ids?: readonly string[];
  /** Every token of an older session version, but for those of the session `kept`. */
  readonly version?: number;
  readonly kept?: string;
}

/**
 * The notice of a committed write to others: names, never values. It is stored by the write itself,
 * in the document that it changes, so that neither of the two is ever without the other.
 */
export interface PendingEvent {
  readonly id: string;
  /** `user.updated` */
  readonly type: string;
  readonly at: Date;
  /** Of what the event is about, after the write. Each write of it counts by one. */
  readonly revision?: number;
  /** The members that the write changed, as the API names them. */
  readonly fields?: readonly string[];
  readonly sessions?: EndedSessions;
}

export const pendingEvent = (
  type: string,
  at: Date,
  rest: Pick<PendingEvent, 'revision' | 'fields' | 'sessions'> = {},
): PendingEvent => ({ id: new Types.ObjectId().toHexString(), type, at, ...rest });

/**
 * The same for an event that can happen only once to the subject of `names`: the log takes the
 * first of several that writers have announced.
 */
export const singleEvent = (
  names: string,
  ...[type, ...rest]: Parameters<typeof pendingEvent>
): PendingEvent => ({
  ...pendingEvent(type, ...rest),
  id: hash('sha256', `${type} ${names}`, 'hex').slice(0, 24),
});

/**
 * A filter: the document has fewer than `max` pending events. The operator is ours, not a
 * request's.
 */
export const hasRoomFor = (max: number) => ({
  [`outbox.${max - 1}`]: trusted({ $exists: false }),
});

/** A filter, and the condition of the index that serves it. */
export const HAS_PENDING = { 'outbox.at': { $exists: true } } as const;

/** Small: a document without pending events is not in it. */
export const pendingIndex = {
  key: { 'outbox.at': 1 },
  name: 'by_pending_event',
  partialFilterExpression: HAS_PENDING,
} as const;
