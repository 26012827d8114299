import type { Connection } from 'mongoose';
import { Types } from 'mongoose';
import { randomToken } from '../../../kernel/crypto/random';
import { commandTime } from '../../../platform/mongo/command-time';
import { isDuplicateKey } from '../../../platform/mongo/errors';
import { noLaterThan } from '../../../platform/mongo/expressions';

export const PASSKEYS_COLLECTION = 'passkeys';

/** A public key credential of a user. */
export interface Passkey {
  /** For paths; the credential's own id is up to 1023 bytes long. */
  readonly id: string;
  /** As the authenticator made it, in base64url. */
  readonly credentialId: string;
  /** COSE_Key, in base64url. */
  readonly publicKey: string;
  /** The highest signature counter seen; many authenticators always send 0. */
  readonly counter: number;
  readonly transports: readonly string[];
  /** Whether the passkey can be synchronized to other devices (flag BE). Never changes. */
  readonly isBackupEligible: boolean;
  /** Whether it is synchronized (flag BS), as of its last use. */
  readonly isBackedUp: boolean;
  /** The model of the authenticator, as it claims. */
  readonly aaguid: string;
  /** Whether it can sign in alone, as the browser claims; undefined: the browser did not tell. */
  readonly isDiscoverable?: boolean;
  readonly name: string;
  readonly createdAt: Date;
  readonly lastUsedAt?: Date;
}

/** The passkeys of a user: one document, so that the rules over several of them are atomic. */
export interface PasskeyHolder {
  readonly userId: string;
  /** WebAuthn's user handle: random, the same for all passkeys of the user. */
  readonly handle: string;
  readonly passkeys: readonly Passkey[];
}

export type NewPasskey = Omit<Passkey, 'id' | 'createdAt' | 'lastUsedAt'>;

/** The state of a passkey as an assertion reports it. */
export interface PasskeyUse {
  readonly counter: number;
  readonly isBackedUp: boolean;
}

interface RemoveOptions {
  readonly keepsOne: boolean;
  readonly until?: Date | undefined;
}
type Added = Passkey | 'too_many' | 'exists' | 'ended';
/** `late`: nothing was done, `until` had come. */
type Removed = Passkey | 'not_found' | 'last' | 'late';

export interface PasskeyStore {
  /** Makes the user's handle if it has none. */
  open(userId: string): Promise<PasskeyHolder>;
  find(userId: string): Promise<PasskeyHolder | null>;
  findByCredential(credentialId: string): Promise<PasskeyHolder | null>;
  hasAny(userId: string): Promise<boolean>;
  /** Whether the user has one that can sign in alone. */
  canSignIn(userId: string): Promise<boolean>;
  /** `ended`: sessions of this version add none any more. */
  add(
    userId: string,
    handle: string,
    passkey: NewPasskey,
    bounds: { readonly max: number; readonly version: number },
  ): Promise<Added>;
  /** Stores the use. Resolves with the passkey as it was before; null: it was removed. */
  use(userId: string, credentialId: string, use: PasskeyUse): Promise<Passkey | null>;
  /** False: there is no such passkey. */
  rename(userId: string, id: string, name: string): Promise<Passkey | null>;
  /**
   * `keepsOne`: only where another passkey remains that can sign in alone. Nothing past `until`.
   */
  remove(userId: string, id: string, options: RemoveOptions): Promise<Removed>;
  /** Keeps the handle. Resolves with the number of removed passkeys. As of `FactorKind`. */
  removeAll(userId: string, before?: number): Promise<number>;
  /** Removes the handle too. */
  purge(userId: string): Promise<void>;
}

interface HolderRow {
  /** Id of the user. */
  readonly _id: string;
  readonly handle: string;
  readonly passkeys: Passkey[];
  /** Sessions of an older version add no passkey (`FactorKind.removeAll`). */
  readonly minVersion?: number;
}

const BY_CREDENTIAL = 'passkeys.credentialId';

export const passkeyIndexes = {
  collection: PASSKEYS_COLLECTION,
  indexes: [
    {
      key: { [BY_CREDENTIAL]: 1 },
      name: 'credential_unique',
      unique: true,
      // Holders without passkeys would be equal.
      partialFilterExpression: { [BY_CREDENTIAL]: { $exists: true } },
    },
  ],
};

const holderOf = ({ _id: userId, handle, passkeys }: HolderRow): PasskeyHolder => ({
  userId,
  handle,
  passkeys,
});

const stored = (passkey: NewPasskey, createdAt: Date): Passkey => ({
  id: new Types.ObjectId().toHexString(),
  ...passkey,
  createdAt,
});

export function createPasskeyStore(
  connection: Connection,
  { timeoutMs, now }: { timeoutMs: number; now: () => number },
): PasskeyStore {
  const bounded = { maxTimeMS: timeoutMs };
  const rows = () => connection.collection<HolderRow>(PASSKEYS_COLLECTION);
  const find = async (userId: string): Promise<PasskeyHolder | null> => {
    const row = await rows().findOne({ _id: userId }, bounded);
    return row === null ? null : holderOf(row);
  };

  /** The one with this id in the document as it was. */
  const passkeyIn = (row: HolderRow | null, is: (one: Passkey) => boolean): Passkey | null =>
    row?.passkeys.find(is) ?? null;

  return {
    async open(userId) {
      // Of two first requests at once, one inserts; the other finds its row.
      await rows()
        .updateOne(
          { _id: userId },
          { $setOnInsert: { handle: randomToken(32), passkeys: [] } },
          { ...bounded, upsert: true },
        )
        .catch((error: unknown) => {
          if (!isDuplicateKey(error)) throw error;
        });
      const holder = await find(userId);
      if (holder === null) throw new Error('the holder of passkeys was removed meanwhile');
      return holder;
    },
    find,
    async findByCredential(credentialId) {
      const row = await rows().findOne({ [BY_CREDENTIAL]: credentialId }, bounded);
      return row === null ? null : holderOf(row);
    },
    async hasAny(userId) {
      const has = { _id: userId, 'passkeys.0': { $exists: true } };
      return (await rows().findOne(has, { ...bounded, projection: { _id: 1 } })) !== null;
    },
    async canSignIn(userId) {
      const able = { $elemMatch: { isDiscoverable: { $ne: false } } };
      const filter = { _id: userId, passkeys: able };
      return (await rows().findOne(filter, { ...bounded, projection: { _id: 1 } })) !== null;
    },
    async add(userId, handle, passkey, { max, version }) {
      const made = stored(passkey, new Date(now()));
      const { inTime, assertInTime } = commandTime(now, timeoutMs);
      try {
        const { matchedCount } = await rows().updateOne(
          {
            ...{ _id: userId, handle, [`passkeys.${max - 1}`]: { $exists: false } },
            [BY_CREDENTIAL]: { $ne: made.credentialId },
            ...{ minVersion: { $not: { $gt: version } }, ...inTime },
          },
          { $push: { passkeys: made } },
          bounded,
        );
        if (matchedCount === 1) return made;
      } catch (error) {
        if (isDuplicateKey(error)) return 'exists';
        throw error;
      }
      assertInTime();
      const holder = await rows().findOne({ _id: userId }, bounded);
      if ((holder?.minVersion ?? version) > version) return 'ended';
      const isKnown = holder?.passkeys.some((one) => one.credentialId === made.credentialId);
      return isKnown === true ? 'exists' : 'too_many';
    },
    async use(userId, credentialId, { counter, isBackedUp }) {
      const before = await rows().findOneAndUpdate(
        { _id: userId, [BY_CREDENTIAL]: credentialId },
        {
          $set: { 'passkeys.$.isBackedUp': isBackedUp, 'passkeys.$.lastUsedAt': new Date(now()) },
          $max: { 'passkeys.$.counter': counter },
        },
        { ...bounded, returnDocument: 'before' },
      );
      return passkeyIn(before, (one) => one.credentialId === credentialId);
    },
    async rename(userId, id, name) {
      const { inTime, assertInTime } = commandTime(now, timeoutMs);
      const after = await rows().findOneAndUpdate(
        { _id: userId, 'passkeys.id': id, ...inTime },
        { $set: { 'passkeys.$.name': name } },
        { ...bounded, returnDocument: 'after' },
      );
      if (after === null) assertInTime();
      return passkeyIn(after, (one) => one.id === id);
    },
    async remove(userId, id, { keepsOne, until }) {
      const another = { $elemMatch: { id: { $ne: id }, isDiscoverable: { $ne: false } } };
      const before = await rows().findOneAndUpdate(
        {
          ...{ _id: userId, 'passkeys.id': id, ...(keepsOne && { passkeys: another }) },
          ...noLaterThan(until),
        },
        { $pull: { passkeys: { id } } },
        { ...bounded, returnDocument: 'before' },
      );
      const removed = passkeyIn(before, (one) => one.id === id);
      if (removed !== null) return removed;
      const present = (await find(userId))?.passkeys ?? [];
      if (!present.some((one) => one.id === id)) return 'not_found';
      const isAnother = present.some((one) => one.id !== id && one.isDiscoverable !== false);
      return keepsOne && !isAnother ? 'last' : 'late';
    },
    async removeAll(userId, before) {
      const { inTime, assertInTime } = commandTime(now, timeoutMs);
      if (before !== undefined) {
        const handle = { handle: randomToken(32), passkeys: [] };
        const fence = { $max: { minVersion: before }, $setOnInsert: handle };
        await rows().updateOne({ _id: userId }, fence, { ...bounded, upsert: true });
      }
      const had = await rows().findOneAndUpdate(
        { _id: userId, ...inTime },
        { $set: { passkeys: [] } },
        { ...bounded, returnDocument: 'before' },
      );
      if (had === null) assertInTime();
      return had?.passkeys.length ?? 0;
    },
    async purge(userId) {
      await rows().deleteOne({ _id: userId }, bounded);
    },
  };
}
