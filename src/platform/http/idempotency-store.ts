import { randomUUID } from 'node:crypto';
import { type Connection, Types } from 'mongoose';
import { isDuplicateKey } from '../mongo/errors';
import { afterNow } from '../mongo/expressions';

/**
 * Stores claims and encrypted responses of requests with an Idempotency-Key; never the key or the
 * body, and no response in plain text.
 */
export interface IdempotencyStore {
  /**
   * Claims `id` for a request with this fingerprint. `granted`: do the work, then call `finish` or
   * `release`. The other results describe the first request with this id: still in flight,
   * answered, answered with a response that is no longer stored, or a different request.
   */
  claim(id: string, fingerprint: Buffer): Promise<Claim>;
  /**
   * Does the work, and extends the lease meanwhile: a key is kept no longer than a worker lives.
   */
  whileHeld<T>(claim: Granted, work: () => T | Promise<T>): Promise<T>;
  /** Stores the response for repeats. Does nothing when the lease was lost meanwhile. */
  finish(claim: Granted, answer: EncryptedAnswer, lifetimes: Lifetimes): Promise<void>;
  /** Deletes the claim: the next request with this key does the work again. */
  release(claim: Granted): Promise<void>;
}

/** Lifetimes of the stored response and of the key. */
export interface Lifetimes {
  readonly answerSeconds: number;
  readonly keySeconds: number;
}

export interface Granted {
  readonly kind: 'granted';
  readonly id: string;
  /**
   * For what the request creates, 24 hexadecimal digits: the same when it takes over from one whose
   * worker has died, so that it finds what that one created.
   */
  readonly newId: string;
  readonly holder: string;
}

type Claim =
  | Granted
  | { readonly kind: 'in_flight'; readonly retryAfterSeconds: number }
  | { readonly kind: 'other_request' }
  | { readonly kind: 'answered'; readonly answer: EncryptedAnswer }
  | { readonly kind: 'answer_expired' };

export interface EncryptedAnswer {
  readonly salt: Buffer;
  readonly iv: Buffer;
  readonly tag: Buffer;
  readonly data: Buffer;
}

interface IdempotencyDocument {
  _id: string;
  fingerprint: Buffer;
  holder: string;
  newId: string;
  /** Set while in flight. After a worker dies, its key stays claimed until this time. */
  leaseUntil: Date | null;
  answer: EncryptedAnswer | null;
  answerUntil: Date | null;
  until: Date;
}

export interface IdempotencyStoreOptions {
  /** How long a key is kept after its worker has died. Longer than a command may be on its way. */
  readonly leaseMs: number;
  /** How long a lease is extended. Longer than any request takes. */
  readonly longestMs: number;
  /** How long the key of an unfinished request is refused to requests with other content. */
  readonly abandonedSeconds: number;
  readonly timeoutMs: number;
}

export const IDEMPOTENCY_COLLECTION = 'idempotency';

const isOver = (field: string) => ({ $lte: [{ $ifNull: [field, '$$NOW'] }, '$$NOW'] });

/**
 * Uses MongoDB, so that a repeat finds the first response from any worker and host. Uses MongoDB's
 * clock, so that a host with a wrong clock neither takes over a valid claim nor repeats an expired
 * response. Does not depend on the time at which MongoDB deletes expired documents.
 */
export function createIdempotencyStore(
  connection: Connection,
  options: IdempotencyStoreOptions,
): IdempotencyStore {
  const { leaseMs, longestMs, abandonedSeconds, timeoutMs } = options;
  const bounded = { maxTimeMS: timeoutMs, promoteBuffers: true };
  const collection = () => connection.collection<IdempotencyDocument>(IDEMPOTENCY_COLLECTION);

  /**
   * One atomic update: claims a new document, or one whose lifetime or lease is over; otherwise
   * deletes the response if its lifetime is over.
   */
  async function upsertClaim(
    id: string,
    fingerprint: Buffer,
    holder: string,
  ): Promise<IdempotencyDocument | null> {
    const newId = new Types.ObjectId().toHexString();
    const same = { $eq: ['$fingerprint', { $literal: fingerprint }] };
    const abandoned = {
      $and: [same, { $ne: [{ $ifNull: ['$leaseUntil', null] }, null] }, isOver('$leaseUntil')],
    };
    const claimed = {
      fingerprint: { $literal: fingerprint },
      holder: { $literal: holder },
      newId: { $cond: [abandoned, { $ifNull: ['$newId', newId] }, newId] },
      answer: null,
      answerUntil: null,
    };
    const times = {
      leaseUntil: afterNow(leaseMs),
      until: afterNow(Math.max(longestMs + leaseMs, abandonedSeconds * 1000)),
    };
    const kept = {
      $cond: [isOver('$answerUntil'), { $mergeObjects: ['$$ROOT', { answer: null }] }, '$$ROOT'],
    };
    const taken = { $mergeObjects: ['$$ROOT', claimed, times] };
    const step = { $replaceWith: { $cond: [{ $or: [isOver('$until'), abandoned] }, taken, kept] } };
    return collection().findOneAndUpdate({ _id: id }, [step], {
      ...bounded,
      upsert: true,
      returnDocument: 'after',
    });
  }

  /**
   * The answer to a claim may be lost when the claim is not: a repeat need not wait for its lease.
   * It is not deleted: an earlier request may have created a resource with its id.
   */
  function giveUp(id: string, holder: string): void {
    collection()
      .updateOne({ _id: id, holder }, [{ $set: { leaseUntil: '$$NOW' } }], bounded)
      .catch(() => undefined);
  }

  function extend({ id, holder }: Granted): void {
    collection()
      .updateOne(
        { _id: id, holder, leaseUntil: { $ne: null } },
        [{ $set: { leaseUntil: afterNow(leaseMs) } }],
        bounded,
      )
      // The next one follows before the lease ends.
      .catch(() => undefined);
  }

  function resultOf(found: IdempotencyDocument, fingerprint: Buffer): Claim {
    if (!found.fingerprint.equals(fingerprint)) return { kind: 'other_request' };
    if (found.answer !== null) return { kind: 'answered', answer: found.answer };
    return found.leaseUntil === null
      ? { kind: 'answer_expired' }
      : { kind: 'in_flight', retryAfterSeconds: 1 };
  }

  return {
    async claim(id, fingerprint) {
      const holder = randomUUID();
      const found = await upsertClaim(id, fingerprint, holder)
        .catch((error: unknown) => {
          // Another request inserted the document meanwhile.
          if (isDuplicateKey(error)) return upsertClaim(id, fingerprint, holder);
          throw error;
        })
        .catch((error: unknown) => {
          giveUp(id, holder);
          throw error;
        });
      if (found === null) throw new Error('the upsert returned no document');
      return found.holder === holder
        ? { kind: 'granted', id, holder, newId: found.newId }
        : resultOf(found, fingerprint);
    },
    async whileHeld(claim, work) {
      const endMs = performance.now() + longestMs;
      const timer = setInterval(() => {
        if (performance.now() < endMs) extend(claim);
      }, leaseMs / 4);
      timer.unref();
      try {
        return await work();
      } finally {
        clearInterval(timer);
      }
    },
    async finish({ id, holder }, answer, { answerSeconds, keySeconds }) {
      const times = {
        leaseUntil: null,
        answerUntil: afterNow(answerSeconds * 1000),
        until: afterNow(keySeconds * 1000),
      };
      await collection().updateOne(
        { _id: id, holder },
        [{ $set: { answer: { $literal: answer }, ...times } }],
        bounded,
      );
    },
    async release({ id, holder }) {
      await collection().deleteOne({ _id: id, holder }, bounded);
    },
  };
}
