import type { Config } from '../../kernel/config/config';
import type { HashSettings } from './passwords/hash-algorithm';

/** The URL of the service as clients see it, without a slash at the end. */
export const baseUrlOf = ({ server }: Config): string =>
  (server.publicUrl ?? `http://localhost:${server.port}`).replace(/\/+$/, '');

/** The `iss` of access tokens. */
export const issuerOf = (config: Config): string => config.auth.issuer ?? baseUrlOf(config);

export const tokenSettings = (config: Config) => ({
  issuer: issuerOf(config),
  audience: config.auth.audience,
  clientId: config.auth.clientId,
  ttlSeconds: config.auth.accessTokenTtlSeconds,
  leewaySeconds: config.auth.clockLeewaySeconds,
  cacheMaxEntries: config.auth.tokenCacheMaxEntries,
});

/** How new passwords are hashed. */
export const hashSettings = ({ auth }: Config): HashSettings =>
  auth.passwordHash === 'bcrypt'
    ? { kind: 'bcrypt', cost: auth.bcryptCost }
    : {
        kind: 'argon2id',
        memoryKib: auth.argon2MemoryKib,
        passes: auth.argon2Passes,
        parallelism: auth.argon2Parallelism,
      };

export const hashQueueSettings = ({ auth }: Config) => ({
  concurrency: auth.hashConcurrency,
  queueMax: auth.hashQueueMax,
});
