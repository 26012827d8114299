import type { KeyObject } from 'node:crypto';
import { createPrivateKey } from 'node:crypto';
import type { Connection, mongo } from 'mongoose';
import { isDuplicateKey } from '../users/repository';
import type { ScheduledKey } from './key-schedule';
import { generateSigningKey, type KeySetAlgorithm, type PublicJwk, publicHalf, type SigningKey, type VerificationKey } from './keys';
import { type Sealed, seal, unseal } from './sealing';

/** One row: the private key sealed, and nothing of the public key, which would be trusted without proof. */
interface KeyRow {
  /** The generation. Being the _id it is unique without an index of its own: two hosts cannot both make it. */
  readonly _id: number;
  readonly alg: KeySetAlgorithm;
  readonly createdAt: Date;
  readonly activeFrom: Date;
  readonly sealed: Sealed;
}

export interface StoredKey extends ScheduledKey {
  readonly alg: KeySetAlgorithm;
  readonly signing: SigningKey;
  readonly verification: VerificationKey;
  readonly jwk: PublicJwk;
}

export interface KeyStore {
  /** All keys, oldest first. Throws SealError when a key was sealed with another secret. */
  list(): Promise<readonly StoredKey[]>;
  /** False when another process has made that generation first. */
  add(generation: number, alg: KeySetAlgorithm, activeFrom: Date, now: Date): Promise<boolean>;
  /** Changes when a key that does not sign yet will start. */
  reschedule(generation: number, activeFrom: Date): Promise<void>;
  /** Forgets all generations below. */
  removeBelow(generation: number): Promise<number>;
}

const context = (generation: number, alg: string) => `signing-key ${generation} ${alg}`;

export function createKeyStore(connection: Connection, secret: string): KeyStore {
  const opened = new Map<number, StoredKey>();

  function rows(): mongo.Collection<KeyRow> {
    if (connection.db === undefined) throw new Error('the database is not connected');
    return connection.db.collection<KeyRow>('signing_keys');
  }

  function open(row: KeyRow): StoredKey {
    const known = opened.get(row._id);
    const material = known ?? importKey(row.alg, createPrivateKey({ key: unsealRow(row), format: 'der', type: 'pkcs8' }));
    const { signing, verification, jwk } = material;
    const { alg, createdAt, activeFrom } = row;
    return { generation: row._id, alg, createdAt, activeFrom, signing, verification, jwk };
  }

  const unsealRow = (row: KeyRow) => unseal(secret, context(row._id, row.alg), row.sealed);

  return {
    async list() {
      const keys = (await rows().find({}, { promoteBuffers: true }).sort({ _id: 1 }).limit(100).toArray()).map(open);
      opened.clear();
      for (const key of keys) opened.set(key.generation, key);
      return keys;
    },

    async add(generation, alg, activeFrom, now) {
      const pkcs8 = (await generateSigningKey(alg)).export({ format: 'der', type: 'pkcs8' });
      const sealed = seal(secret, context(generation, alg), pkcs8);
      try {
        await rows().insertOne({ _id: generation, alg, createdAt: now, activeFrom, sealed });
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    },

    async reschedule(generation, activeFrom) {
      await rows().updateOne({ _id: generation }, { $set: { activeFrom } });
    },

    async removeBelow(generation) {
      return (await rows().deleteMany({ _id: { $lt: generation } })).deletedCount;
    },
  };
}

function importKey(alg: KeySetAlgorithm, privateKey: KeyObject): Pick<StoredKey, 'signing' | 'verification' | 'jwk'> {
  const { verification, jwk } = publicHalf(alg, privateKey);
  return { signing: { kid: verification.kid, alg, key: privateKey }, verification, jwk };
}
