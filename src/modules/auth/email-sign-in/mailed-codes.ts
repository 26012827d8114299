import { randomInt } from 'node:crypto';
import type { Connection } from 'mongoose';
import { isEqualInConstantTime, sha256 } from '../../../kernel/crypto/digest';
import { afterNow, asLiterals, unexpired } from '../../../platform/mongo/expressions';

export const MAILED_CODES_COLLECTION = 'mailed_codes';

/** Guesses at one code; the odds of a guesser are 5 in a million for each mail. */
const TRIES = 5;
const DIGITS = 6;
/** Of one user; the limit of mails by hour allows fewer. */
const OF_USER_MAX = 100;

/** Whose sign-in it is, as the account was when the code was mailed. */
export interface SignInAwaitingCode {
  readonly userId: string;
  readonly email: string;
  readonly sessionVersion: number;
}

interface AwaitingRow extends SignInAwaitingCode {
  /** SHA-256 of the token that the asking device keeps. */
  readonly _id: string;
  /** SHA-256 of the token and the code: without the token, guesses cannot be tested against it. */
  readonly codeHash: string;
  readonly triesLeft: number;
  readonly until: Date;
}

export interface TakenTry {
  readonly pending: SignInAwaitingCode;
  readonly isRight: boolean;
}

/**
 * Sign-ins that wait for a mailed code. Both halves are needed: the token, which only the asking
 * device has, and the code, which only the mailbox has.
 */
export interface MailedCodes {
  /** Repeatable: the same token again gets a new code. */
  issue(token: string, pending: SignInAwaitingCode, ttlSeconds: number): Promise<string>;
  /** Counts a try before the code is looked at. undefined: expired, used, or no try is left. */
  take(token: string, code: string): Promise<TakenTry | undefined>;
  /** Of several uses at once, on any host, one resolves with true. */
  consume(token: string): Promise<boolean>;
  /** The expiry of each of a user's. */
  ofUser(userId: string): Promise<readonly Date[]>;
  forget(userId: string): Promise<void>;
}

/** Of a row, after its code has expired. */
export const KEPT_SECONDS = 3600;

export const mailedCodeIndexes = {
  collection: MAILED_CODES_COLLECTION,
  indexes: [
    { key: { userId: 1 }, name: 'by_user' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: KEPT_SECONDS },
  ],
} as const;

const newCode = () => String(randomInt(10 ** DIGITS)).padStart(DIGITS, '0');
const hashOf = (token: string, code: string) => sha256(`${token}\n${code}`);

export function createMailedCodes(
  connection: Connection,
  { timeoutMs }: { timeoutMs: number },
): MailedCodes {
  const bounded = { maxTimeMS: timeoutMs };
  const rows = () => connection.collection<AwaitingRow>(MAILED_CODES_COLLECTION);
  return {
    async issue(token, pending, ttlSeconds) {
      const code = newCode();
      const fields = { ...pending, codeHash: hashOf(token, code), triesLeft: TRIES };
      const set = { ...asLiterals(fields), until: afterNow(ttlSeconds * 1000) };
      const options = { ...bounded, upsert: true };
      await rows().updateOne({ _id: sha256(token) }, [{ $set: set }], options);
      return code;
    },
    async take(token, code) {
      const row = await rows().findOneAndUpdate(
        { _id: sha256(token), triesLeft: { $gt: 0 }, ...unexpired },
        { $inc: { triesLeft: -1 } },
        bounded,
      );
      if (row === null) return undefined;
      const { userId, email, sessionVersion, codeHash } = row;
      const isRight = isEqualInConstantTime(codeHash, hashOf(token, code));
      return { pending: { userId, email, sessionVersion }, isRight };
    },
    consume: async (token) =>
      (await rows().deleteOne({ _id: sha256(token) }, bounded)).deletedCount === 1,
    async ofUser(userId) {
      const found = rows().find({ userId }, { ...bounded, limit: OF_USER_MAX });
      return (await found.toArray()).map(({ until }) => until);
    },
    async forget(userId) {
      await rows().deleteMany({ userId }, bounded);
    },
  };
}
