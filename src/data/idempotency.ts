import { randomUUID } from 'node:crypto';
import type { Connection } from 'mongoose';

/** What is kept of a request that carries an Idempotency-Key: never the key, never the body, never an answer in plain form. */
export interface IdempotencyStore {
  /**
   * Claims `id` for a request with this fingerprint. `granted`: do the work, then `finish` or `release`. Otherwise the
   * request that came first: still in flight, answered, or a different one.
   */
  claim(id: string, fingerprint: Buffer): Promise<Claim>;
  /** Keeps the answer for repeats. Does nothing when the lease was lost meanwhile. */
  finish(claim: Granted, answer: SealedAnswer): Promise<void>;
  /** Forgets the claim: the next request with this key is done anew. */
  release(claim: Granted): Promise<void>;
}

export interface Granted {
  readonly kind: 'granted';
  readonly id: string;
  readonly holder: string;
}

export type Claim =
  | Granted
  | { readonly kind: 'in_flight'; readonly retryAfterSeconds: number }
  | { readonly kind: 'other_request' }
  | { readonly kind: 'answered'; readonly answer: SealedAnswer };

export interface SealedAnswer {
  readonly salt: Buffer;
  readonly iv: Buffer;
  readonly tag: Buffer;
  readonly data: Buffer;
}

interface IdempotencyDocument {
  _id: string;
  fingerprint: Buffer;
  holder: string;
  /** Set while in flight: a worker that dies holds its key no longer than this. */
  leaseUntil: Date | null;
  answer: SealedAnswer | null;
  until: Date;
}

export interface IdempotencyStoreOptions {
  readonly ttlSeconds: number;
  /** Longer than any request takes. */
  readonly leaseMs: number;
  readonly timeoutMs: number;
  readonly now?: () => number;
}

export const IDEMPOTENCY_COLLECTION = 'idempotency';

/** A document may expire between the two looks at it. */
const ATTEMPTS = 3;

/** In MongoDB, so that a repeat finds the first answer on whichever worker or host it arrives. Old documents are told by their time: when MongoDB deletes them does not matter. */
export function createIdempotencyStore(connection: Connection, options: IdempotencyStoreOptions): IdempotencyStore {
  const { ttlSeconds, leaseMs, timeoutMs, now = Date.now } = options;
  const bounded = { maxTimeMS: timeoutMs, promoteBuffers: true };
  const collection = () => connection.collection<IdempotencyDocument>(IDEMPOTENCY_COLLECTION);

  /** One atomic step: a new document, or one whose time or lease is over. */
  async function take(id: string, fingerprint: Buffer): Promise<Granted | undefined> {
    const at = now();
    const holder = randomUUID();
    const fields = { fingerprint, holder, leaseUntil: new Date(at + leaseMs), answer: null, until: new Date(at + ttlSeconds * 1000) };
    const ended = { until: { $lte: new Date(at) } };
    const abandoned = { fingerprint, leaseUntil: { $ne: null, $lte: new Date(at) } };
    try {
      await collection().updateOne({ _id: id, $or: [ended, abandoned] }, { $set: fields }, { ...bounded, upsert: true });
      return { kind: 'granted', id, holder };
    } catch (error) {
      // The upsert met a document that is still good.
      if (error instanceof Error && 'code' in error && error.code === 11000) return undefined;
      throw error;
    }
  }

  /** Undefined where the document has gone, or is about to: to be claimed again. */
  function told(found: IdempotencyDocument | null, fingerprint: Buffer): Claim | undefined {
    if (found === null || found.until.getTime() <= now()) return undefined;
    if (!found.fingerprint.equals(fingerprint)) return { kind: 'other_request' };
    if (found.answer !== null) return { kind: 'answered', answer: found.answer };
    return found.leaseUntil !== null && found.leaseUntil.getTime() > now() ? { kind: 'in_flight', retryAfterSeconds: 1 } : undefined;
  }

  return {
    async claim(id, fingerprint) {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const granted = await take(id, fingerprint);
        if (granted !== undefined) return granted;
        const seen = told(await collection().findOne({ _id: id }, bounded), fingerprint);
        if (seen !== undefined) return seen;
      }
      return { kind: 'in_flight', retryAfterSeconds: 1 };
    },
    async finish({ id, holder }, answer) {
      const until = new Date(now() + ttlSeconds * 1000);
      await collection().updateOne({ _id: id, holder }, { $set: { answer, leaseUntil: null, until } }, bounded);
    },
    async release({ id, holder }) {
      await collection().deleteOne({ _id: id, holder }, bounded);
    },
  };
}
