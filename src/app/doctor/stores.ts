import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../../kernel/config/config';
import { EPOCH_COLLECTION, type EpochDocument } from '../../platform/cache/epoch-store';
import type { Database } from '../../platform/mongo/connection';
import { indexDrift } from '../../platform/mongo/index-drift';
import { migrationStatus } from '../../platform/mongo/migrations/status';
import { type RedisMemory, redisMemory } from '../../platform/redis/memory';
import { indexesOf, migrations } from '../migrate';
import { type Report, record, skip } from './finding';

const TIMEOUT_MS = 10_000;
/** Longer than the interval between two heartbeats of a member (members.ts). */
const HEARTBEAT_WAIT_MS = 6000;
const MIGRATE = 'npm run migrate -- up';

export async function checkDatabase(
  report: Report,
  config: Config,
  { connection, clock }: Database,
): Promise<void> {
  await checkIndexes(report, config, connection);
  await checkMigrations(report, connection);
  checkClock(report, config, clock.offsetMs());
  await checkMembers(report, connection);
}

async function checkIndexes(
  report: Report,
  config: Config,
  connection: Database['connection'],
): Promise<void> {
  const drift = await indexDrift(connection, indexesOf(config));
  const bad = drift.filter(({ fault }) => fault !== 'undeclared');
  record(
    report,
    'database-indexes',
    bad.length > 0 && {
      severity: 'fault',
      seen: bad
        .map(({ collection, index, fault }) => `${collection}.${index} is ${fault}`)
        .join(', '),
      means: 'Queries name their indexes: they fail or scan, and duplicates are not refused.',
      fix: `${MIGRATE}; "different" needs a look first: docs/operate.md, exit code 65.`,
    },
  );
}

async function checkMigrations(report: Report, connection: Database['connection']): Promise<void> {
  const status = await migrationStatus(connection, migrations, { timeoutMs: TIMEOUT_MS });
  const pending = status.filter(({ state }) => state === 'pending').map(({ id }) => id);
  record(
    report,
    'database-migrations',
    pending.length > 0 && {
      severity: 'warning',
      seen: `not migrated: ${pending.join(', ')}`,
      means: 'The next version will not read these documents.',
      fix: MIGRATE,
    },
  );
}

function checkClock(report: Report, config: Config, offsetMs: number): void {
  const limitMs = Math.max(1000, config.auth.clockLeewaySeconds * 1000);
  record(
    report,
    'clock-here',
    Math.abs(offsetMs) > limitMs && {
      severity: 'fault',
      seen: `this host is ${describeOffset(offsetMs)} the database`,
      means: 'The service uses the database’s time; logs, TLS and other programs do not.',
      fix: 'Run a time service (chrony, systemd-timesyncd) on this host and on the database’s.',
    },
  );
}

export const describeOffset = (ms: number): string =>
  `${(Math.abs(ms) / 1000).toFixed(1)} s ${ms > 0 ? 'ahead of' : 'behind'}`;

/** Processes register τ and cache in the database: those that run now, on every host. */
async function checkMembers(report: Report, connection: Database['connection']): Promise<void> {
  const read = () =>
    connection
      .collection<EpochDocument>(EPOCH_COLLECTION)
      .find({ _id: { $regex: '^#member:' } }, { maxTimeMS: TIMEOUT_MS })
      .toArray();
  const before = await read();
  // One member is one pair of settings: nothing differs.
  const after = before.length < 2 ? before : await afterHeartbeat(read);
  const alive = after.filter(
    ({ _id, id, beat }) =>
      before.length < 2 ||
      !before.some((one) => one._id === _id && one.id === id && one.beat === beat),
  );
  const times = [...new Set(alive.map(({ nearTtlMs = 0 }) => nearTtlMs))];
  record(
    report,
    'hosts-near-cache',
    times.length > 1 && {
      severity: 'warning',
      seen: `running processes have NEAR_CACHE_TTL_MS of ${times.sort((a, b) => a - b).join(' and ')}`,
      means: 'Right, but every write on every host waits for the greatest of them.',
      fix: 'Give every host the same NEAR_CACHE_TTL_MS, and roll them.',
    },
  );
  const caches = [...new Set(alive.map(({ cache = 'no Redis' }) => cache))];
  record(
    report,
    'hosts-cache',
    caches.length > 1 && {
      severity: 'fault',
      seen: `running processes use different caches: ${caches.sort().join('; ')}`,
      means: 'Hosts do not share Redis entries, so all of them do without: reads go to MongoDB.',
      fix: 'Give every host the same REDIS_URL and CACHE_KEY_PREFIX, and roll them.',
    },
  );
}

async function afterHeartbeat<T>(read: () => Promise<T>): Promise<T> {
  await delay(HEARTBEAT_WAIT_MS);
  return read();
}

export async function checkRedis(report: Report, { cache }: Config): Promise<void> {
  const { redisUrl, redisMode } = cache;
  if (redisUrl === undefined) return skip(report, 'redis', 'REDIS_URL is not set');
  if (redisMode === 'sentinel')
    return skip(report, 'redis', 'Sentinels are asked for no memory limits: check the servers');
  let servers: RedisMemory[];
  try {
    servers = await redisMemory(redisUrl);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return record(report, 'redis-reachable', {
      severity: 'fault',
      seen: `Redis does not answer: ${reason}`,
      means: 'Reads go to MongoDB: correct, and slower.',
      fix: 'Check REDIS_URL, the network and the password.',
    });
  }
  record(report, 'redis-reachable', undefined);
  for (const server of servers) checkMemory(report, server);
}

function checkMemory(report: Report, { address, policy, maxBytes, usedBytes }: RedisMemory): void {
  record(
    report,
    'redis-eviction',
    policy !== 'noeviction' && {
      severity: 'fault',
      seen: `${address} has maxmemory-policy ${policy}`,
      means:
        'When it is full, Redis drops keys of writers in progress: a reader may then keep an old value.',
      fix: 'maxmemory-policy noeviction. A full Redis refuses new values, and reads go to MongoDB.',
    },
  );
  record(
    report,
    'redis-memory',
    maxBytes === 0 && {
      severity: 'warning',
      seen: `${address} has no maxmemory`,
      means: 'It grows until the system ends it, or something else on that host.',
      fix: 'Set maxmemory (compose.yaml: 256mb), with maxmemory-policy noeviction.',
    },
  );
  record(
    report,
    'redis-full',
    maxBytes > 0 &&
      usedBytes > 0.9 * maxBytes && {
        severity: 'fault',
        seen: `${address} uses ${Math.round(usedBytes / 1024)} of ${Math.round(maxBytes / 1024)} KiB`,
        means: 'Redis refuses new values (OOM): reads go to MongoDB.',
        fix: 'More maxmemory, a shorter CACHE_TTL_SECONDS, or a Redis of its own.',
      },
  );
}
