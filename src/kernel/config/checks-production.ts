import type { Check } from './check';
import { plainMailFault, readRedisUrls } from './connections';
import { isPatterned } from './secret-strength';
import type { Config, Fault } from './settings';
import { isLoopback, isSafeForCredentials } from './urls';

const MAKE_ONE = 'try openssl rand -base64 48';

/** Memory in KiB and passes, of equal strength (OWASP Password Storage Cheat Sheet). */
const OWASP_ARGON2 = [
  [47_104, 1],
  [19_456, 2],
  [12_288, 3],
  [9216, 4],
  [7168, 5],
] as const;

/** Values that are acceptable in development only. */
const faults: readonly Check[] = [
  ({ database }) =>
    required(
      database.uri,
      'MONGODB_URI',
      'must be set in production: the embedded database is for development. Give the URI of a MongoDB, e.g. mongodb://db1,db2,db3/auth?replicaSet=rs0',
    ),
  ({ auth }) =>
    auth.jwtSecret === undefined
      ? required(
          auth.keyEncryptionSecret,
          'KEY_ENCRYPTION_SECRET',
          `must be set in production (or JWT_SECRET, to sign with one shared secret): ${MAKE_ONE}`,
        )
      : undefined,
  ({ auth }) => patterned('JWT_SECRET', auth.jwtSecret),
  ({ auth }) => patterned('KEY_ENCRYPTION_SECRET', auth.keyEncryptionSecret),
  // KEY_ENCRYPTION_SECRET_PREVIOUS may be weak: replacing a weak secret must be possible.
  ({ server }) =>
    required(
      server.publicUrl,
      'PUBLIC_URL',
      'is required in production: the https:// URL that clients use; issuer, links and metadata are built from it',
    ),
  ({ server }) => encrypted('PUBLIC_URL', server.publicUrl),
  ({ auth }) => encrypted('TOKEN_ISSUER', auth.issuer),
  ({ mail }) => encrypted('MAIL_LINK_BASE', mail.linkBase),
  ({ browser }) =>
    encrypted(
      'BROWSER_ORIGINS',
      browser.origins?.find((origin) => !isSafeForCredentials(origin)),
    ),
  ({ emailSignIn, mail }) =>
    emailSignIn.isEnabled && mail.smtpUrl === undefined
      ? { env: 'EMAIL_SIGN_IN', message: 'needs SMTP_URL in production: the codes are mailed' }
      : undefined,
  ({ federation: { providers } }) => {
    const plain = providers?.find(({ issuer }) => !issuer.toLowerCase().startsWith('https:'));
    return plain === undefined
      ? undefined
      : { env: 'OIDC_PROVIDERS', message: `${plain.id}.issuer must be https in production` };
  },
  ({ server }) =>
    encrypted('ASSET_BASE_URL', server.assetBaseUrl === '' ? undefined : server.assetBaseUrl),
  ({ auth }) =>
    auth.bcryptCost < 10
      ? {
          env: 'BCRYPT_COST',
          message: `must be at least 10 in production: it is ${auth.bcryptCost}`,
        }
      : undefined,
  ({ auth: { passwordHash, argon2MemoryKib: memory, argon2Passes: passes } }) =>
    passwordHash === 'argon2id' && !OWASP_ARGON2.some(([m, t]) => memory >= m && passes >= t)
      ? {
          env: 'ARGON2_MEMORY_KIB',
          message: `must with ARGON2_PASSES (${passes}) be at least one of OWASP's in production: ${OWASP_ARGON2.map((pair) => pair.join(' KiB × ')).join(', ')}; it is ${memory}`,
        }
      : undefined,
  ({ cache }) => {
    const redis = cache.redisUrl === undefined ? undefined : readRedisUrls(cache.redisUrl);
    if (redis === undefined || redis.hasPassword || redis.hosts.every(isLoopback)) return undefined;
    return {
      env: 'REDIS_URL',
      message:
        'must contain a password in production (redis://:password@host): write access to the cache allows impersonation of any user',
    };
  },
  ({ mail }) => {
    const message = mail.smtpUrl === undefined ? undefined : plainMailFault(mail.smtpUrl);
    return message === undefined ? undefined : { env: 'SMTP_URL', message };
  },
];

const required = (value: unknown, env: string, message: string): Fault | undefined =>
  value === undefined ? { env, message } : undefined;

const patterned = (env: string, secret: string | undefined): Fault | undefined =>
  secret !== undefined && isPatterned(secret)
    ? { env, message: `is guessable (a pattern or dictionary words): ${MAKE_ONE}` }
    : undefined;

const encrypted = (env: string, url: string | undefined): Fault | undefined =>
  url !== undefined && !isSafeForCredentials(url)
    ? {
        env,
        message: `must be https:// in production (http:// is allowed for localhost only): it is ${JSON.stringify(url)}`,
      }
    : undefined;

export const productionChecks: readonly Check[] = faults.map(
  (check): Check =>
    (config: Config) =>
      config.server.environment === 'production' ? check(config) : undefined,
);
