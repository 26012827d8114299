import type { Connection } from 'mongoose';
import { Types } from 'mongoose';
import { isDuplicateKey } from '../../../platform/mongo/errors';
import { afterNow, asLiterals, noLaterThan } from '../../../platform/mongo/expressions';
import { errorOfInsert, ifBefore } from '../../../platform/mongo/late-insert';
import type { ProviderClaims } from './provider';

export const IDENTITIES_COLLECTION = 'identities';

/** A user of a provider, and the account that it signs in to. */
export interface Identity {
  readonly id: string;
  readonly issuer: string;
  readonly subject: string;
  readonly provider: string;
  readonly userId: string;
  /** As the provider named it at the last sign-in; null: it did not. */
  readonly email: string | null;
  readonly createdAt: Date;
  readonly lastUsedAt: Date | null;
  /** The account of this id is still to be created. */
  readonly isReserved: boolean;
}

interface Row extends Omit<Identity, 'id' | 'lastUsedAt' | 'isReserved'> {
  readonly _id: string;
  readonly lastUsedAt?: Date;
  readonly isReserved?: true;
  /** Of a reserved one: when it is removed, if no sign-in completes the account. */
  readonly reservedUntil?: Date;
}

type Subject = Pick<ProviderClaims, 'issuer' | 'subject'>;

export interface Identities {
  find(subject: Subject): Promise<Identity | null>;
  /** null: the subject has an identity, which `find` returns. */
  insert(
    identity: Pick<Identity, 'issuer' | 'subject' | 'provider' | 'userId' | 'email'>,
    options?: { readonly isReserved: true },
  ): Promise<Identity | null>;
  /** Notes the use. False: the identity is no longer linked to this account. */
  used(identity: Identity, email: string | null): Promise<boolean>;
  ofUser(userId: string): Promise<Identity[]>;
  /** False, and nothing done: there is no such identity of the user, or the time is over. */
  remove(userId: string, id: string, until?: Date): Promise<boolean>;
  /** Removes one whose account does not exist. False: it is so young that it may still come. */
  removeOrphan(identity: Identity): Promise<boolean>;
  forget(userId: string): Promise<void>;
}

/** Whether one can sign in: its issuer is that of a provider in the settings. */
export const worksWith = (providers: readonly { readonly issuer: string }[]) => {
  const issuers = new Set(providers.map(({ issuer }) => new URL(issuer).href));
  return ({ issuer }: Pick<Identity, 'issuer'>): boolean =>
    URL.canParse(issuer) && issuers.has(new URL(issuer).href);
};

/** Personal data without an account: no longer than somebody may come back. */
const RESERVED_MS = 30 * 86_400_000;

/** More than a sign-in takes from its identity to its account. */
const CREATION_MS = 60_000;

/** Of one account. */
export const IDENTITIES_MAX = 20;

export const identityIndexes = {
  collection: IDENTITIES_COLLECTION,
  indexes: [
    { key: { issuer: 1, subject: 1 }, name: 'by_subject', unique: true },
    { key: { userId: 1 }, name: 'by_user' },
    {
      key: { reservedUntil: 1 },
      name: 'expiry',
      expireAfterSeconds: 0,
      // A host of the release before leaves the time, and takes the mark away.
      partialFilterExpression: { isReserved: true },
    },
  ],
} as const;

export function createIdentities(
  connection: Connection,
  { timeoutMs, now }: { readonly timeoutMs: number; readonly now: () => number },
): Identities {
  const bounded = { maxTimeMS: timeoutMs };
  const rows = () => connection.collection<Row>(IDENTITIES_COLLECTION);
  return {
    async find({ issuer, subject }) {
      return toIdentity(await rows().findOne({ issuer, subject }, bounded));
    },
    async insert(identity, options) {
      const _id = new Types.ObjectId().toHexString();
      const reserved = options === undefined ? {} : { reservedUntil: afterNow(RESERVED_MS) };
      const given = asLiterals({ ...identity, ...options });
      const inTime = ifBefore(new Date(now() + timeoutMs));
      const fields = { ...given, ...reserved, createdAt: '$$NOW', _id: inTime };
      try {
        // By its own id, so that an upsert inserts and never changes another row.
        return toIdentity(
          await rows().findOneAndUpdate({ _id }, [{ $set: fields }], {
            ...bounded,
            upsert: true,
            returnDocument: 'after',
          }),
        );
      } catch (error) {
        if (isDuplicateKey(error)) return null;
        throw errorOfInsert(error);
      }
    },
    async used({ id: _id, userId }, email) {
      const fields = { lastUsedAt: '$$NOW', email: { $literal: email } };
      const change = [{ $set: fields }, { $unset: ['isReserved', 'reservedUntil'] }];
      return (await rows().updateOne({ _id, userId }, change, bounded)).matchedCount === 1;
    },
    async ofUser(userId) {
      const found = rows().find({ userId, isReserved: { $exists: false } }, bounded);
      return (
        await found
          .sort({ _id: 1 })
          .limit(IDENTITIES_MAX * 2)
          .toArray()
      ).map(identityOf);
    },
    async remove(userId, id, until) {
      const filter = { _id: id, userId, ...noLaterThan(until) };
      return (await rows().deleteOne(filter, bounded)).deletedCount === 1;
    },
    async removeOrphan({ id: _id, userId }) {
      const isOld = { $lt: ['$createdAt', afterNow(-CREATION_MS)] };
      const { deletedCount } = await rows().deleteOne({ _id, userId, $expr: isOld }, bounded);
      return deletedCount === 1;
    },
    async forget(userId) {
      await rows().deleteMany({ userId }, bounded);
    },
  };
}

const toIdentity = (row: Row | null): Identity | null => (row === null ? null : identityOf(row));

function identityOf({ _id: id, lastUsedAt, isReserved, reservedUntil: _, ...row }: Row): Identity {
  return { ...row, id, lastUsedAt: lastUsedAt ?? null, isReserved: isReserved === true };
}
