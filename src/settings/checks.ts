import type { Config, Fault } from '../config';

type Check = (config: Config) => Fault | undefined;

const KNOWN_SECRETS = /^(secret|changeme|change-me|your[-_ ]?secret|jwt[-_ ]?secret|thisisasamplesecret|password|supersecret|test)/i;

function shortSecret(env: string, secret: string | undefined): Fault | undefined {
  const bytes = secret === undefined ? 32 : Buffer.byteLength(secret);
  return bytes < 32 ? { env, message: `must have at least 32 bytes (it has ${bytes}): try openssl rand -base64 48` } : undefined;
}

function knownSecret(env: string, secret: string | undefined): Fault | undefined {
  const known = secret !== undefined && (KNOWN_SECRETS.test(secret) || new Set(secret).size < 8);
  return known ? { env, message: 'is a well-known or repetitive secret: try openssl rand -base64 48' } : undefined;
}

/** Faults that need more than one setting to see. A section with a fault of its own may hold undefined: checks compare, never call. */
const checks: readonly Check[] = [
  ({ server, database }) =>
    server.environment === 'production' && database.uri === undefined
      ? {
          env: 'MONGODB_URI',
          message:
            'must be set in production: the embedded database is for development. Give the URI of a MongoDB, e.g. mongodb://db1,db2,db3/auth?replicaSet=rs0',
        }
      : undefined,
  ({ server, database }) =>
    server.environment !== 'production' && database.uri === undefined && database.embedded === 'off'
      ? { env: 'MONGODB_URI', message: 'must be set when EMBEDDED_DB=off' }
      : undefined,
  ({ auth }) => shortSecret('JWT_SECRET', auth.jwtSecret),
  ({ auth }) => knownSecret('JWT_SECRET', auth.jwtSecret),
  ({ auth }) => shortSecret('KEY_ENCRYPTION_SECRET', auth.keyEncryptionSecret),
  ({ auth }) => knownSecret('KEY_ENCRYPTION_SECRET', auth.keyEncryptionSecret),
  ({ server, auth }) =>
    server.environment === 'production' && auth.jwtSecret === undefined && auth.keyEncryptionSecret === undefined
      ? {
          env: 'KEY_ENCRYPTION_SECRET',
          message: 'must be set in production (or JWT_SECRET, to sign with one shared secret): try openssl rand -base64 48',
        }
      : undefined,
  ({ server, mail }) =>
    server.environment === 'production' && mail.smtpUrl !== undefined && mail.linkBase === undefined && server.publicUrl === undefined
      ? {
          env: 'MAIL_LINK_BASE',
          message: 'must be set in production when mails are sent (or PUBLIC_URL): their links would lead to localhost',
        }
      : undefined,
  ({ auth }) =>
    auth.keyLeadSeconds * 1000 < auth.keyPollMs * 2
      ? { env: 'KEY_LEAD_SECONDS', message: `must be at least twice KEY_POLL_MS (${auth.keyPollMs} ms), or a worker may miss a new key` }
      : undefined,
  ({ auth }) =>
    auth.keyRotationSeconds < auth.keyLeadSeconds * 2
      ? { env: 'KEY_ROTATION_SECONDS', message: `must be at least twice KEY_LEAD_SECONDS (${auth.keyLeadSeconds})` }
      : undefined,
  ({ server, auth }) =>
    server.environment === 'production' && auth.bcryptCost < 10
      ? { env: 'BCRYPT_COST', message: `must be at least 10 in production: it is ${auth.bcryptCost}` }
      : undefined,
  ({ cache, database }) =>
    database.operationTimeoutMs * 2 >= cache.writerTtlMs
      ? {
          env: 'CACHE_WRITER_TTL_MS',
          message: `must be more than twice DB_OPERATION_TIMEOUT_MS (${database.operationTimeoutMs}): a commit must end before its writer's count expires`,
        }
      : undefined,
  ({ database }) =>
    database.poolMin > database.poolMax ? { env: 'DB_POOL_MIN', message: `must be at most DB_POOL_MAX (${database.poolMax})` } : undefined,
  ({ server }) =>
    server.drainTimeoutMs > server.shutdownDeadlineMs
      ? { env: 'DRAIN_TIMEOUT_MS', message: `must be at most SHUTDOWN_DEADLINE_MS (${server.shutdownDeadlineMs})` }
      : undefined,
];

export function checkTogether(config: Config): Fault[] {
  return checks.map((check) => check(config)).filter((fault) => fault !== undefined);
}
