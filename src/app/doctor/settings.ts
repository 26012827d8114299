import type { Config } from '../../kernel/config/config';
import { databaseIn, describeMongoUri } from '../../kernel/config/mongo-uri';
import { isLoopback } from '../../kernel/config/urls';
import { type Check, type Finding, type Report, record } from './finding';

type SettingsCheck = (config: Config) => Omit<Finding, 'check'> | undefined | false;

const isPublic = (url: string | undefined): boolean =>
  url !== undefined && !isLoopback(new URL(url).hostname);

/** Settings that the service accepts at its start, although they are weak or do not fit. */
const checks: Readonly<Partial<Record<Check, SettingsCheck>>> = {
  'development-settings': ({ server }) =>
    server.environment !== 'production' &&
    isPublic(server.publicUrl) && {
      severity: 'fault',
      seen: `NODE_ENV=${server.environment} with PUBLIC_URL=${server.publicUrl}`,
      means: 'Development defaults are accepted: weak secrets, no TLS, an embedded database.',
      fix: 'Set NODE_ENV=production. The start then names each setting that is not fit for it.',
    },
  'rate-limits': ({ limits }) =>
    !limits.enabled && {
      severity: 'fault',
      seen: 'RATE_LIMIT=false',
      means: 'One client can use up all workers, and guess passwords and codes faster.',
      fix: 'Remove the setting, and raise RATE_LIMIT_PER_CLIENT where real clients need more.',
    },
  'access-token-lifetime': ({ auth }) =>
    auth.accessTokenTtlSeconds > 3600 && {
      severity: 'warning',
      seen: `ACCESS_TOKEN_TTL_SECONDS=${auth.accessTokenTtlSeconds}`,
      means: 'Other services accept a stolen token, or that of a banned user, for that long.',
      fix: 'At most 3600; clients refresh. The default is 900.',
    },
  'password-hashing': ({ auth }) =>
    auth.passwordHash === 'bcrypt' &&
    auth.bcryptCost < 10 && {
      severity: 'fault',
      seen: `BCRYPT_COST=${auth.bcryptCost}`,
      means: 'Passwords of a stolen database are guessed quickly.',
      fix: 'At least 10 (npm run passwords -- tune measures); hashes are replaced at the next login.',
    },
  'cors-origins': ({ server }) =>
    server.corsOrigins.includes('*') && {
      severity: 'warning',
      seen: 'CORS_ORIGINS=*',
      means: 'Any page may call the service with a token that it has got hold of.',
      fix: 'List the origins of your pages.',
    },
  'database-name': ({ database: { uri } }) => {
    const name = uri === undefined ? undefined : databaseIn(uri);
    if (uri === undefined || (name !== '' && name !== 'admin')) return undefined;
    const where = describeMongoUri(uri);
    return {
      severity: 'warning',
      seen: `MONGODB_URI leads to ${where}${name === '' ? ', without a database' : ''}`,
      means:
        name === ''
          ? 'The database is called "test", where others may put theirs too.'
          : 'It has the users of MongoDB: an account that may write this database may write those.',
      fix: 'mongodb://host/NAME, with ?authSource=admin for a user of admin. Move the data first.',
    };
  },
  'database-password': ({ database }) =>
    database.uri !== undefined &&
    isOpenDatabase(database.uri) && {
      severity: 'warning',
      seen: `MONGODB_URI leads to ${describeMongoUri(database.uri)} without a user`,
      means: 'Everybody in that network can read and change accounts.',
      fix: 'Create a user with readWrite on this database alone, and put it into the URI.',
    },
  'ops-port': ({ server }) =>
    server.opsPort !== 0 &&
    server.opsPort === server.port && {
      severity: 'fault',
      seen: `OPS_PORT=${server.opsPort} is PORT`,
      means: 'Metrics are for the inside.',
      fix: 'Give OPS_PORT a port of its own that no balancer leads to.',
    },
};

/** Neither a user nor a client certificate, over a network. Socket files are `%2F…`. */
function isOpenDatabase(uri: string): boolean {
  const [, credentials, hosts = ''] = /^[^/]+\/\/(?:([^@/]*)@)?([^/?]*)/.exec(uri) ?? [];
  const names = hosts.split(',').map((host) => host.replace(/:\d+$/, ''));
  const isLocal = names.every((name) => isLoopback(name) || /^%2f/i.test(name));
  return credentials === undefined && !isLocal && !/authMechanism=|tlsCertificate/i.test(uri);
}

/** KEEP_ALIVE_TIMEOUT_MS must exceed the time after which the balancer closes idle connections. */
export function checkKeepAlive(
  report: Report,
  seen: string,
  serviceSeconds: number,
  balancerSeconds: number,
): void {
  record(
    report,
    'keep-alive',
    serviceSeconds <= balancerSeconds && {
      severity: 'fault',
      seen: `${seen}: the service closes an idle connection after ${serviceSeconds} s, the balancer after ${balancerSeconds} s`,
      means: 'A request that crosses the service’s close is lost, and the client gets a 502.',
      fix: `KEEP_ALIVE_TIMEOUT_MS above ${balancerSeconds * 1000}, or a shorter time at the balancer (keepalive_timeout of the upstream).`,
    },
  );
}

export function checkSettings(report: Report, config: Config): void {
  for (const [name, check] of Object.entries(checks)) record(report, name as Check, check(config));
}
