import type { Connection } from 'mongoose';
import { type Config, ConfigError } from '../../../kernel/config/config';
import { DecryptionError, type Secrets } from '../../../kernel/crypto/encryption';
import type { Logger } from '../../../platform/telemetry/logger';
import { loadDevelopmentSecret } from './development-secret';
import { createKeyReaders } from './key-readers';
import type { RotationRules } from './key-schedule';
import { connectKeyRing } from './keyring';
import { createSecretKeyRing, type KeyRing } from './keys';
import { createKeyStore, type KeyStore } from './keystore';
import { connectRemoteKeyRing, type RemoteKeyRing } from './remote-keyring';

export function rotationRules({ auth }: Config): RotationRules {
  return {
    rotationSeconds: auth.keyRotationSeconds,
    leadSeconds: auth.keyLeadSeconds,
    retireSeconds: auth.accessTokenTtlSeconds + auth.clockLeewaySeconds,
  };
}

/**
 * The secrets of this deployment, from which others are derived: the one in use, and after it the
 * one before, while there is one. Hosts that have one and hosts that have both read what the others
 * sealed (docs/operate.md).
 */
export async function deploymentSecrets({ auth, database }: Config): Promise<Secrets> {
  const current =
    auth.keyEncryptionSecret ?? auth.jwtSecret ?? (await loadDevelopmentSecret(database.dataDir));
  return withPrevious(current, auth.previousKeyEncryptionSecret);
}

const withPrevious = (current: string, previous: string | undefined): Secrets =>
  previous === undefined ? [current] : [current, previous];

/** The store of signing keys, with the secret that encrypts them. */
export async function openKeyStore(config: Config, connection: Connection): Promise<KeyStore> {
  const secret =
    config.auth.keyEncryptionSecret ?? (await loadDevelopmentSecret(config.database.dataDir));
  return createKeyStore(
    connection,
    ...withPrevious(secret, config.auth.previousKeyEncryptionSecret),
  );
}

export interface KeysDependencies {
  readonly config: Config;
  readonly connection: Connection;
  readonly log: Logger;
  /** The database's time, ms since the epoch: hosts must agree on the schedule. */
  readonly now: () => number;
  /** Called when this process has created the next key. */
  readonly made?: () => void;
}

/** The keys of the configuration: the shared secret, else the key set in the database. */
export async function connectKeys({
  config,
  connection,
  log,
  now,
  made,
}: KeysDependencies): Promise<KeyRing | RemoteKeyRing> {
  const { jwksUrl: url, keyPollMs: pollMs } = config.auth;
  if (url !== undefined) return connectRemoteKeyRing({ url, pollMs, log });
  if (config.auth.jwtSecret !== undefined) return createSecretKeyRing(config.auth.jwtSecret);
  return namingTheSecret(config, async () =>
    connectKeyRing({
      store: await openKeyStore(config, connection),
      readers: createKeyReaders(connection),
      algorithm: config.auth.signingAlgorithm,
      rules: rotationRules(config),
      pollMs: config.auth.keyPollMs,
      log,
      now,
      ...(made === undefined ? {} : { made }),
    }),
  );
}

/** Throws ConfigError when the secret of these settings does not decrypt the signing keys. */
export async function checkKeys(config: Config, connection: Connection): Promise<void> {
  if (config.auth.jwtSecret !== undefined || config.auth.jwksUrl !== undefined) return;
  await namingTheSecret(config, async () => (await openKeyStore(config, connection)).list());
}

/** Runs `work`. A key that cannot be decrypted is reported as a fault of the setting. */
async function namingTheSecret<T>({ auth, database }: Config, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DecryptionError)) throw error;
    const which = 'that the signing keys in the database were encrypted with';
    throw new ConfigError([
      auth.keyEncryptionSecret === undefined
        ? {
            env: 'DATA_DIR',
            message: `(${database.dataDir}) does not hold the development secret ${which}`,
          }
        : {
            env: 'KEY_ENCRYPTION_SECRET',
            message: `is not the secret ${which}: set that one, here or as KEY_ENCRYPTION_SECRET_PREVIOUS`,
          },
    ]);
  }
}
