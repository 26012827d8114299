import type { KeyObject } from 'node:crypto';
import { createPrivateKey } from 'node:crypto';
import type { Connection, mongo } from 'mongoose';
import {
  DecryptionError,
  decryptWithAny,
  type Encrypted,
  encryptForAll,
  type Secrets,
} from '../../../kernel/crypto/encryption';
import { isDuplicateKey } from '../../../platform/mongo/errors';
import type { HeldRules, ScheduledKey } from './key-schedule';
import {
  generateSigningKey,
  type KeySetAlgorithm,
  type PublicJwk,
  publicHalf,
  type SigningKey,
  type VerificationKey,
} from './keys';

/** The encrypted private key. The public key is derived from it: a stored one would be unproven. */
interface KeyRow {
  /** The generation. As the _id it is unique, so that two hosts cannot both create it. */
  readonly _id: number;
  readonly alg: KeySetAlgorithm;
  readonly createdAt: Date;
  readonly activeFrom: Date;
  readonly held?: HeldRules;
  readonly sealed: Encrypted;
}

export interface StoredKey extends ScheduledKey {
  readonly alg: KeySetAlgorithm;
  readonly signing: SigningKey;
  readonly verification: VerificationKey;
  readonly jwk: PublicJwk;
}

export interface KeyStore {
  /**
   * All keys, oldest first. Throws DecryptionError when a key was encrypted with another secret.
   */
  list(): Promise<readonly StoredKey[]>;
  /** False when another process has created that generation first. */
  add(generation: number, alg: KeySetAlgorithm, activeFrom: Date, now: Date): Promise<boolean>;
  /** Changes the start of a key that does not sign yet. */
  reschedule(generation: number, activeFrom: Date): Promise<void>;
  /** Raises the rules that are stored with every key to at least these. */
  hold(rules: HeldRules): Promise<void>;
  /** Removes all lower generations. */
  removeBelow(generation: number): Promise<number>;
}

/** Of a few rows, at the start and in the background: no request waits for them. */
const bounded = { maxTimeMS: 5000 } as const;

const context = (generation: number, alg: string) => `signing-key ${generation} ${alg}`;

/** `secrets`: the current one, then previous ones that may have encrypted stored keys. */
export function createKeyStore(connection: Connection, ...secrets: Secrets): KeyStore {
  const opened = new Map<number, StoredKey>();

  function rows(): mongo.Collection<KeyRow> {
    if (connection.db === undefined) throw new Error('the database is not connected');
    return connection.db.collection<KeyRow>('signing_keys');
  }

  function open(row: KeyRow): StoredKey {
    const known = opened.get(row._id);
    const material =
      known ??
      importKey(row.alg, createPrivateKey({ key: decryptRow(row), format: 'der', type: 'pkcs8' }));
    const { signing, verification, jwk } = material;
    const { alg, createdAt, activeFrom, held } = row;
    return { generation: row._id, alg, createdAt, activeFrom, held, signing, verification, jwk };
  }

  const decryptRow = (row: KeyRow) =>
    decryptWithAny(secrets, context(row._id, row.alg), row.sealed);

  /** Encrypts a key of the previous secret with both, so that the previous one can be removed. */
  async function reencrypt(row: KeyRow): Promise<void> {
    if (secrets.length === 1 || decryptsWith(secrets[0], row)) return;
    const sealed = encryptForAll(secrets, context(row._id, row.alg), decryptRow(row));
    await rows().updateOne({ _id: row._id }, { $set: { sealed } }, bounded);
  }

  return {
    async list() {
      const found = await rows()
        .find({}, { ...bounded, promoteBuffers: true })
        .sort({ _id: 1 })
        .limit(100)
        .toArray();
      const keys = found.map(open);
      for (const row of found) await reencrypt(row);
      opened.clear();
      for (const key of keys) opened.set(key.generation, key);
      return keys;
    },

    async add(generation, alg, activeFrom, now) {
      const pkcs8 = (await generateSigningKey(alg)).export({ format: 'der', type: 'pkcs8' });
      const sealed = encryptForAll(secrets, context(generation, alg), pkcs8);
      try {
        const row = { _id: generation, alg, createdAt: now, activeFrom, sealed };
        await rows().insertOne(row, bounded);
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    },

    async reschedule(generation, activeFrom) {
      await rows().updateOne({ _id: generation }, { $set: { activeFrom } }, bounded);
    },

    async hold({ leadSeconds, retireSeconds }) {
      await rows().updateMany(
        {},
        { $max: { 'held.leadSeconds': leadSeconds, 'held.retireSeconds': retireSeconds } },
        bounded,
      );
    },

    async removeBelow(generation) {
      return (await rows().deleteMany({ _id: { $lt: generation } }, bounded)).deletedCount;
    },
  };
}

function decryptsWith(secret: string, row: KeyRow): boolean {
  try {
    decryptWithAny([secret], context(row._id, row.alg), row.sealed);
    return true;
  } catch (error) {
    if (error instanceof DecryptionError) return false;
    throw error;
  }
}

function importKey(
  alg: KeySetAlgorithm,
  privateKey: KeyObject,
): Pick<StoredKey, 'signing' | 'verification' | 'jwk'> {
  const { verification, jwk } = publicHalf(alg, privateKey);
  return { signing: { kid: verification.kid, alg, key: privateKey }, verification, jwk };
}
