import type { Connection } from 'mongoose';
import { isDuplicateKey } from '../../../platform/mongo/errors';
import type { IndexedCollection } from '../../../platform/mongo/indexed-collection';

export const VERIFIERS_COLLECTION = 'revocation_verifiers';

/** A verifier that may rely on its last look. */
export interface LiveVerifier {
  /** It knows the log up to here. */
  readonly after: number;
  readonly leaseMs: number;
}

interface VerifierRow extends LiveVerifier {
  readonly _id: string;
  /** By the database's clock. It decides by itself no longer than this. */
  readonly until: Date;
  /** Whether it was live when it looked last. */
  readonly wasLive: boolean;
}

interface Look {
  /** Of one process of the verifier, and of the account that it uses: nobody looks for another. */
  readonly id: string;
  readonly after: number;
  readonly leaseMs: number;
}

/** The verifiers that writes wait for. Each look of one renews its lease, before it is answered. */
export interface Verifiers {
  /** Resolves, when it is durable, with whether the verifier was live all the time. */
  register(look: Look): Promise<boolean>;
  /** By one read of an index. */
  live(): Promise<readonly LiveVerifier[]>;
}

export const verifierIndexes: IndexedCollection = {
  collection: VERIFIERS_COLLECTION,
  indexes: [{ key: { until: 1 }, name: 'until', expireAfterSeconds: 60 }],
};

/** More than two monotonic clocks of computers in use differ in their rates. */
export const withMargin = (leaseMs: number): number => Math.ceil(leaseMs * 1.02) + 10;

/** The index is read from here; the database's own clock decides on what it finds. */
const CLOCK_ERROR_MS = 10_000;
/** Bounds one read of the registry. The slowest come first: it is they that a write waits for. */
const MAX_LIVE = 1000;

/** A filter of the verifiers that are live. */
export const liveFilter = (nowMs: number) => ({
  until: { $gt: new Date(nowMs - CLOCK_ERROR_MS) },
  $expr: { $gt: ['$until', '$$NOW'] },
});

export function createVerifiers(
  connection: Connection,
  { timeoutMs, now }: { readonly timeoutMs: number; readonly now: () => number },
): Verifiers {
  const rows = () => connection.collection<VerifierRow>(VERIFIERS_COLLECTION);
  const bounded = { maxTimeMS: timeoutMs, readPreference: 'primary' } as const;

  /** Looks of one verifier may overtake each other: positions and leases only grow. */
  const renewed = ({ after, leaseMs }: Look) => [
    {
      $set: {
        wasLive: { $gt: [{ $ifNull: ['$until', new Date(0)] }, '$$NOW'] },
        after: { $max: ['$after', after] },
        leaseMs: { $max: ['$leaseMs', leaseMs] },
        until: { $max: ['$until', { $add: ['$$NOW', withMargin(leaseMs)] }] },
      },
    },
  ];

  async function register(look: Look): Promise<boolean> {
    const options = { upsert: true, returnDocument: 'after', maxTimeMS: timeoutMs } as const;
    const row = await rows().findOneAndUpdate({ _id: look.id }, renewed(look), options);
    return row?.wasLive ?? false;
  }

  return {
    register: (look) =>
      register(look).catch((error: unknown) => {
        // Two first looks at once: one of them has inserted the document.
        if (isDuplicateKey(error)) return register(look);
        throw error;
      }),
    live: () =>
      rows()
        .find(liveFilter(now()), { ...bounded, projection: { _id: 0, after: 1, leaseMs: 1 } })
        .sort({ after: 1 })
        .limit(MAX_LIVE)
        .toArray(),
  };
}
