import type { Connection } from 'mongoose';
import type { Config } from '../config';
import type { Logger } from '../observability/logger';
import { loadDevelopmentSecret } from './development-secret';
import type { RotationRules } from './key-schedule';
import { connectKeyRing } from './keyring';
import { createSecretKeyRing, type KeyRing } from './keys';
import { createKeyStore, type KeyStore } from './keystore';
import { SealError } from './sealing';

export function rotationRules({ auth }: Config): RotationRules {
  return {
    rotationSeconds: auth.keyRotationSeconds,
    leadSeconds: auth.keyLeadSeconds,
    retireSeconds: auth.accessTokenTtlSeconds + auth.clockLeewaySeconds,
  };
}

/** The secret of this deployment, from which others are derived: the same on all its workers and hosts. */
export async function deploymentSecret({ auth, database }: Config): Promise<string> {
  return auth.keyEncryptionSecret ?? auth.jwtSecret ?? loadDevelopmentSecret(database.dataDir);
}

/** The store of key sets with the secret that this deployment seals them with. */
export async function openKeyStore(config: Config, connection: Connection): Promise<KeyStore> {
  const secret = config.auth.keyEncryptionSecret ?? (await loadDevelopmentSecret(config.database.dataDir));
  return createKeyStore(connection, secret);
}

/** The keys that the configuration asks for: the shared secret, else the key set in the database. */
export async function connectKeys(config: Config, connection: Connection, log: Logger): Promise<KeyRing> {
  if (config.auth.jwtSecret !== undefined) return createSecretKeyRing(config.auth.jwtSecret);
  try {
    return await connectKeyRing({
      store: await openKeyStore(config, connection),
      algorithm: config.auth.signingAlgorithm,
      rules: rotationRules(config),
      pollMs: config.auth.keyPollMs,
      log,
    });
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    throw new Error('the signing keys in the database were sealed with another KEY_ENCRYPTION_SECRET: give that one', { cause: error });
  }
}
