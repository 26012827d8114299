import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { startTestMongo } from '../tests/support/mongo';
import {
  type ServiceOptions,
  type ServiceProcess,
  startService,
  until,
} from '../tests/support/service';
import type { PlannedRequest, RequestRecord } from './load';
import { isGood, type Summary } from './summary';
import { readsAndWrites, registerUser } from './users';

const root = join(__dirname, '..');
/** The service itself; needs a database. */
export const serviceEntry = join(root, 'main.js');
/** The same, one module in each file: a preloaded program can replace one of them. */
export const unbundledEntry = join(root, 'src', 'main.js');
/**
 * The real cluster, member and server around an app whose routes are slow, block or hoard on
 * request.
 */
export const fixtureEntry = join(root, 'tests', 'runtime', 'fixtures', 'service.js');
export const naiveEntry = join(root, 'faults', 'programs', 'naive-cluster.js');

/** Settings that do not affect the result: no rate limit, cheap hashes. */
export const QUIET = {
  RATE_LIMIT: 'false',
  BCRYPT_COST: '4',
  MONGODB_URI: 'mongodb://unused',
  KEY_ENCRYPTION_SECRET: randomBytes(48).toString('base64'),
} as const;

export async function withService<T>(
  options: ServiceOptions,
  use: (service: ServiceProcess) => Promise<T>,
): Promise<T> {
  const service = await startService({ ...options, env: { ...QUIET, ...options.env } });
  try {
    return await use(service);
  } finally {
    await service.close();
  }
}

/** The service with its own database. */
export async function withRealService<T>(
  env: Record<string, string>,
  use: (service: ServiceProcess) => Promise<T>,
  entry = serviceEntry,
): Promise<T> {
  const mongo = await startTestMongo();
  try {
    return await withService({ entry, env: { ...env, MONGODB_URI: mongo.uri } }, use);
  } finally {
    await mongo.close();
  }
}

/**
 * Writes to one user are sequential, and each waits for local cache entries to expire: with few
 * users the load would measure that wait.
 */
const USERS = 40;

/** Three reads to one write, over a few users. */
export async function createMix(url: string): Promise<PlannedRequest[]> {
  const users = await Promise.all(
    Array.from({ length: USERS }, (_, n) =>
      registerUser(url, `User ${n}`, `user${n}-${process.hrtime.bigint()}@example.com`),
    ),
  );
  return readsAndWrites(users);
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Ms until `count` workers are ready, counted in the service's own log. */
export async function readyAgain(
  service: ServiceProcess,
  before: number,
  count: number,
  timeoutMs = 60_000,
): Promise<number> {
  const from = performance.now();
  await until(
    `${count} new workers`,
    () => service.logs('worker ready').length >= before + count,
    timeoutMs,
  ).catch(() => undefined);
  return Math.round(performance.now() - from);
}

/** A load's figures as the tables show them. */
export function shown(summary: Summary): Record<string, number | string> {
  const others = Object.entries(summary.others);
  return {
    requests: summary.planned,
    failed: summary.failed,
    lost: summary.unanswered,
    'p99 ms': summary.p99Ms,
    'max ms': summary.maxMs,
    'not 200':
      others.length === 0
        ? 'none'
        : others.map(([outcome, count]) => `${count} × ${outcome}`).join('; '),
  };
}

export const isRead = (record: RequestRecord) => record.tag === 'read';
export const failedOf = (records: readonly RequestRecord[], tag: string) =>
  records.filter((record) => record.tag === tag && !isGood(record)).length;
