import { randomUUID } from 'node:crypto';
import type { Connection } from 'mongoose';
import { randomToken } from '../../kernel/crypto/random';
import type { Removal } from '../../platform/module';
import { afterNow, dueFilter } from '../../platform/mongo/expressions';
import type { IndexedCollection } from '../../platform/mongo/indexed-collection';
import { createOutboxSource, type OutboxSource } from '../../platform/outbox/outbox-source';
import { type PendingEvent, pendingIndex } from '../../platform/outbox/pending-event';

export const REMOVALS_COLLECTION = 'user_removals';

/**
 * The users that are being removed, kept until nothing names them any more. A removal is announced
 * before it is committed, so that a worker that dies right after the commit leaves no traces behind
 * that nobody looks for.
 */
export interface Removals {
  /**
   * Before the commit. Until it resolves, nothing is removed. `events`: those that are pending in
   * the user's document, and that of the removal.
   */
  announce(userId: string, events: readonly PendingEvent[]): Promise<void>;
  /** Those of the ids whose removal was announced, and has not been forgotten. */
  announced(userIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** The removal of this user, if it waits for its first purge. */
  claim(userId: string): Promise<ClaimedRemoval | null>;
  /** The next removal that is due; another process may have left it behind. */
  claimDue(): Promise<ClaimedRemoval | null>;
  /** The user is gone and its traces were purged: once more after SETTLE_MS. */
  settle(claimed: ClaimedRemoval): Promise<void>;
  /** Nothing is left to do but to move its events, or the user was not removed. */
  forget(claimed: ClaimedRemoval): Promise<void>;
}

export interface ClaimedRemoval extends Removal {
  /** Whether it was purged before. */
  readonly isSettling: boolean;
  readonly holder: string;
}

interface RemovalDocument {
  readonly _id: string;
  /** Replaces the id in the kept data. Known to nobody once this document is gone. */
  readonly pseudonym: string;
  readonly isSettling: boolean;
  /** Any process may take it from then on: the end of a pause, or of a lease. */
  readonly dueAt: Date;
  readonly holder: string;
  /** They count once the user is gone. */
  readonly outbox?: readonly PendingEvent[];
}

export const removalIndexes: IndexedCollection = {
  collection: REMOVALS_COLLECTION,
  indexes: [{ key: { dueAt: 1 }, name: 'by_due' }, pendingIndex],
};

/**
 * After the first purge, operations under way may have stored more: a login, a mail of the
 * background queue, and events that the audit log counts for ten minutes.
 */
const SETTLE_MS = 15 * 60_000;
const LEASE_MS = 60_000;
/**
 * The events announced before, then the new ones, and the removal last: that of the later revision.
 * Several announce the removal of one user. Of those that saw it earlier, one may come later.
 */
function withAnnounced(events: readonly PendingEvent[]) {
  const removal = events.at(-1);
  const stored = { $ifNull: ['$outbox', []] };
  const ofType = (is: '$eq' | '$ne') => ({
    $filter: { input: stored, cond: { [is]: ['$$this.type', removal?.type ?? ''] } },
  });
  const isNew = { $not: [{ $in: ['$$this.id', { $ifNull: ['$outbox.id', []] }] }] };
  const added = { $filter: { input: { $literal: events.slice(0, -1) }, cond: isNew } };
  const newest = {
    $reduce: {
      input: ofType('$eq'),
      initialValue: { $literal: removal },
      in: { $cond: [{ $gt: ['$$this.revision', '$$value.revision'] }, '$$this', '$$value'] },
    },
  };
  return { $concatArrays: [ofType('$ne'), added, removal === undefined ? [] : [newest]] };
}

/** Commits are given up long before (docs/adr/0011-one-deadline.md). */
const graceMs = (timeoutMs: number) => Math.max(30_000, 4 * timeoutMs);

export function createRemovals(
  connection: Connection,
  { timeoutMs }: { readonly timeoutMs: number },
): Removals {
  const bounded = { maxTimeMS: timeoutMs };
  const rows = () => connection.collection<RemovalDocument>(REMOVALS_COLLECTION);

  async function take(filter: Record<string, unknown>): Promise<ClaimedRemoval | null> {
    const holder = randomUUID();
    const row = await rows().findOneAndUpdate(
      filter,
      [{ $set: { holder, dueAt: afterNow(LEASE_MS) } }],
      { ...bounded, sort: { dueAt: 1 }, returnDocument: 'after' },
    );
    if (row === null) return null;
    const { _id: userId, pseudonym, isSettling } = row;
    return { userId, pseudonym, isSettling, holder };
  }

  return {
    async announce(userId, events) {
      const fresh = { pseudonym: `removed:${randomToken(16)}`, isSettling: false };
      // A repeated announcement keeps the pseudonym, and takes the row from its holder: what the
      // holder found about the user may be over.
      const set = {
        pseudonym: { $ifNull: ['$pseudonym', fresh.pseudonym] },
        isSettling: { $ifNull: ['$isSettling', fresh.isSettling] },
        holder: '',
        dueAt: afterNow(graceMs(timeoutMs)),
        outbox: withAnnounced(events),
      };
      await rows().updateOne({ _id: userId }, [{ $set: set }], { ...bounded, upsert: true });
    },
    async announced(userIds) {
      const options = { ...bounded, readPreference: 'primary', projection: { _id: 1 } } as const;
      const found = await rows()
        .find({ _id: { $in: [...userIds] } }, options)
        .toArray();
      return new Set(found.map(({ _id }) => _id));
    },
    claim: (userId) => take({ _id: userId, isSettling: false }),
    claimDue: () => take(dueFilter),
    async settle({ userId, holder }) {
      await rows().updateOne(
        { _id: userId, holder },
        [{ $set: { isSettling: true, holder: '', dueAt: afterNow(SETTLE_MS) } }],
        bounded,
      );
    },
    async forget({ userId, holder, isSettling }) {
      // Of a user who is gone, the events come first: it is due again when the lease has run out.
      const moved = isSettling ? { 'outbox.at': { $exists: false } } : {};
      await rows().deleteOne({ _id: userId, holder, ...moved }, bounded);
    },
  };
}

/** The events of users who are gone. `existing`: those of the ids that are still users. */
export const createRemovalOutbox = (
  connection: Connection,
  options: {
    readonly timeoutMs: number;
    readonly existing: (ids: readonly string[]) => Promise<ReadonlySet<string>>;
  },
): OutboxSource =>
  createOutboxSource(connection, {
    collection: REMOVALS_COLLECTION,
    timeoutMs: options.timeoutMs,
    idOf: (subject) => subject,
    async committed(ids) {
      const existing = await options.existing(ids);
      return new Set(ids.filter((id) => !existing.has(id)));
    },
  });
