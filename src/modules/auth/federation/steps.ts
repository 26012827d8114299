import type { Connection } from 'mongoose';
import { isEqualInConstantTime, sha256 } from '../../../kernel/crypto/digest';
import { randomToken } from '../../../kernel/crypto/random';
import { afterNow, asLiterals, unexpired } from '../../../platform/mongo/expressions';
import type { ProviderClaims } from './provider';

export const FEDERATION_STEPS_COLLECTION = 'federation_steps';

/** The session of the account to which an identity is to be linked. */
interface LinkTo {
  readonly userId: string;
  readonly sid: string;
}

/** The members that all steps of one sign-in carry. */
export interface Journey {
  readonly provider: string;
  /** The page to return to, one of the allowed. */
  readonly redirectTo: string;
  /** S256 challenge of the page (RFC 7636): its verifier gives the code its worth. */
  readonly challenge: string;
  readonly link?: LinkTo | undefined;
}

/**
 * Asked after the code was taken, as is whose it is: a code that was seen by somebody else is used
 * up with the first guess, and the page learns of it.
 */
export const isVerifierOf = ({ challenge }: Journey, verifier: string): boolean =>
  isEqualInConstantTime(challenge, sha256(verifier));

interface Kinds {
  /** Of a signed-in page: begins a link by a navigation. */
  readonly ticket: Journey;
  /** At the provider. The token is its `state`; `browser`: SHA-256 of the cookie. */
  readonly attempt: Journey & { readonly browser: string };
  /** Back at the page. */
  readonly code: Journey & { readonly claims: ProviderClaims };
}
type Kind = keyof Kinds;

/** Seconds. An attempt lasts as long as a user needs at the provider. */
export const STEP_SECONDS: Readonly<Record<Kind, number>> = { ticket: 60, attempt: 600, code: 60 };

interface Row {
  /** SHA-256 of the token. */
  readonly _id: string;
  readonly kind: Kind;
  readonly until: Date;
}

/** The steps of sign-ins in progress: each is used once, over all workers and hosts. */
export interface Steps {
  /** Resolves with the token. */
  issue<K extends Kind>(kind: K, step: Kinds[K]): Promise<string>;
  /**
   * Removes the step. null, and nothing done: there is none, it has expired by the database's
   * clock, or `expected` does not hold.
   */
  take<K extends Kind>(
    kind: K,
    token: string,
    expected: Readonly<Record<string, unknown>>,
  ): Promise<Kinds[K] | null>;
  forget(userId: string): Promise<void>;
}

export const stepIndexes = {
  collection: FEDERATION_STEPS_COLLECTION,
  indexes: [
    {
      key: { 'link.userId': 1 },
      name: 'by_linking_user',
      partialFilterExpression: { 'link.userId': { $exists: true } },
    },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 60 },
  ],
} as const;

export function createSteps(
  connection: Connection,
  { timeoutMs }: { readonly timeoutMs: number },
): Steps {
  const bounded = { maxTimeMS: timeoutMs };
  const rows = () => connection.collection<Row>(FEDERATION_STEPS_COLLECTION);
  return {
    async issue(kind, step) {
      const token = randomToken(32);
      const { link, ...rest } = step;
      const known = { kind, ...rest, ...(link === undefined ? {} : { link }) };
      const fields = { ...asLiterals(known), until: afterNow(STEP_SECONDS[kind] * 1000) };
      await rows().updateOne({ _id: sha256(token) }, [{ $set: fields }], {
        ...bounded,
        upsert: true,
      });
      return token;
    },
    async take<K extends Kind>(
      kind: K,
      token: string,
      expected: Readonly<Record<string, unknown>>,
    ): Promise<Kinds[K] | null> {
      const filter = { ...expected, _id: sha256(token), kind, ...unexpired };
      const taken = await rows().findOneAndDelete(filter as object, bounded);
      return taken as (Row & Kinds[K]) | null;
    },
    async forget(userId) {
      await rows().deleteMany({ 'link.userId': userId } as object, bounded);
    },
  };
}
