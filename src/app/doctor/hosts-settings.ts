import type { Config } from '../../kernel/config/config';
import { readRedisUrls } from '../../kernel/config/connections';
import { describeMongoUri } from '../../kernel/config/mongo-uri';
import { type Check, type Finding, type Report, record } from './finding';

export interface NamedConfig {
  readonly name: string;
  readonly config: Config;
}

interface Shared {
  readonly check: Check;
  readonly severity: Finding['severity'];
  readonly env: string;
  /** Compared, and shown unless `secret`. */
  readonly read: (config: Config) => string;
  readonly secret?: boolean;
  readonly means: string;
}

/** The Redis and its database, without user and password. */
function redisOf({ cache }: Config): string {
  const parts = cache.redisUrl === undefined ? undefined : readRedisUrls(cache.redisUrl);
  if (parts === undefined) return 'none';
  return `${cache.redisMode} ${parts.hosts.join(',')}/${parts.database}`;
}

const differingTokens = 'Hosts refuse tokens of each other: clients are signed out at random.';

const SHARED: readonly Shared[] = [
  {
    check: 'hosts-near-cache',
    severity: 'warning',
    env: 'NEAR_CACHE_TTL_MS',
    read: ({ cache }) => String(cache.nearTtlMs),
    means: 'Right, but every write on every host waits for the greatest of them.',
  },
  {
    check: 'hosts-key-prefix',
    severity: 'fault',
    env: 'CACHE_KEY_PREFIX',
    read: ({ cache }) => cache.keyPrefix,
    means: 'Hosts do not share Redis entries, so all of them do without: reads go to MongoDB.',
  },
  {
    check: 'hosts-redis',
    severity: 'fault',
    env: 'REDIS_URL',
    read: redisOf,
    means: 'Hosts do not share Redis entries, so all of them do without: reads go to MongoDB.',
  },
  {
    check: 'hosts-database',
    severity: 'fault',
    env: 'MONGODB_URI',
    read: ({ database }) => (database.uri === undefined ? 'none' : describeMongoUri(database.uri)),
    means: 'Each host has other accounts and signing keys.',
  },
  {
    check: 'hosts-roles',
    severity: 'fault',
    env: 'ROLES',
    read: ({ auth }) => JSON.stringify(auth.roles),
    means: 'The same request is allowed on one host and refused by another.',
  },
  {
    check: 'hosts-issuer',
    severity: 'fault',
    env: 'TOKEN_ISSUER or PUBLIC_URL',
    read: ({ auth, server }) => auth.issuer ?? server.publicUrl ?? 'none',
    means: differingTokens,
  },
  {
    check: 'hosts-audience',
    severity: 'fault',
    env: 'TOKEN_AUDIENCE',
    read: ({ auth }) => auth.audience,
    means: differingTokens,
  },
  {
    check: 'hosts-signing-secret',
    severity: 'fault',
    env: 'JWT_SECRET',
    read: ({ auth }) => auth.jwtSecret ?? '',
    secret: true,
    means: differingTokens,
  },
];

function compare(hosts: readonly NamedConfig[], shared: Shared): Omit<Finding, 'check'> | false {
  const { severity, env, read, secret = false, means } = shared;
  const values = new Map<string, string[]>();
  for (const { name, config } of hosts) {
    const value = read(config);
    values.set(value, [...(values.get(value) ?? []), name]);
  }
  if (values.size < 2) return false;
  const shown = [...values].map(([value, names]) =>
    secret ? names.join(' and ') : `${value} (${names.join(', ')})`,
  );
  return {
    severity,
    seen: `${env} differs: ${shown.join(secret ? ' differ from ' : ', ')}`,
    means,
    fix: `Give every host the same ${env}, and roll them.`,
  };
}

/** A host reads what another has encrypted with one of the secrets that it has. */
function compareEncryption(hosts: readonly NamedConfig[]): Omit<Finding, 'check'> | false {
  const secretsOf = ({ auth }: Config) =>
    [auth.keyEncryptionSecret, auth.previousKeyEncryptionSecret].filter((one) => one !== undefined);
  const stranger = hosts.find(({ config }) => {
    const own = secretsOf(config);
    return hosts.some(({ config: other }) => {
      const theirs = secretsOf(other);
      const isEmpty = own.length === 0 && theirs.length === 0;
      return !isEmpty && !own.some((secret) => theirs.includes(secret));
    });
  });
  return (
    stranger !== undefined && {
      severity: 'fault',
      seen: `KEY_ENCRYPTION_SECRET of ${stranger.name} is known to no other host, or the reverse`,
      means: 'A host that cannot decrypt the signing keys exits with 78.',
      fix: 'Roll in two steps, with KEY_ENCRYPTION_SECRET_PREVIOUS (docs/operate.md, Signing keys).',
    }
  );
}

/** Compares the settings of several hosts of one deployment. */
export function checkHostsSettings(report: Report, hosts: readonly NamedConfig[]): void {
  for (const shared of SHARED) record(report, shared.check, compare(hosts, shared));
  record(report, 'hosts-encryption-secret', compareEncryption(hosts));
}
