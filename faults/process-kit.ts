import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { startTestMongo } from '../tests/support/mongo';
import { type ServiceOptions, type ServiceProcess, startService, until } from '../tests/support/service';
import type { PlannedRequest, RequestRecord } from './load';
import { isGood, type Summary } from './summary';

const root = join(__dirname, '..');
/** The service itself; needs a database. */
export const serviceEntry = join(root, 'src', 'index.js');
/** The real cluster, member and server around an app whose routes are slow, block or hoard on request. */
export const fixtureEntry = join(root, 'tests', 'cluster', 'fixtures', 'service.js');
export const naiveEntry = join(root, 'faults', 'programs', 'naive-cluster.js');

/** Settings under which only the fault decides: no rate limit, cheap hashes. */
export const QUIET = {
  RATE_LIMIT: 'false',
  BCRYPT_COST: '4',
  MONGODB_URI: 'mongodb://unused',
  KEY_ENCRYPTION_SECRET: randomBytes(48).toString('base64'),
} as const;

export async function withService<T>(options: ServiceOptions, use: (service: ServiceProcess) => Promise<T>): Promise<T> {
  const service = await startService({ ...options, env: { ...QUIET, ...options.env } });
  try {
    return await use(service);
  } finally {
    await service.close();
  }
}

/** The service with a database of its own. */
export async function withRealService<T>(env: Record<string, string>, use: (service: ServiceProcess) => Promise<T>): Promise<T> {
  const mongo = await startTestMongo();
  try {
    return await withService({ entry: serviceEntry, env: { ...env, MONGODB_URI: mongo.uri } }, use);
  } finally {
    await mongo.close();
  }
}

/** Writes to one user follow each other, each with its wait for near copies: few users would measure that. */
const USERS = 40;

/** Three reads to one write, over a few users. */
export async function createMix(url: string): Promise<PlannedRequest[]> {
  const users = await Promise.all(
    Array.from({ length: USERS }, async (_, n) => {
      const body = JSON.stringify({
        name: `User ${n}`,
        email: `user${n}-${process.hrtime.bigint()}@example.com`,
        password: 'a long enough password',
      });
      const answer = await fetch(`${url}/api/auth/register`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
      if (answer.status !== 201) throw new Error(`register answered ${answer.status}: ${await answer.text()}`);
      return (await answer.json()) as { access_token: string };
    }),
  );
  return users.flatMap(({ access_token }) => {
    const headers = { authorization: `Bearer ${access_token}` };
    const read = { method: 'GET', path: '/api/users/me', headers, tag: 'read' };
    return [read, read, read, { method: 'PATCH', path: '/api/users/me', headers, body: '{"name":"Name {n}"}', tag: 'write' }];
  });
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Ms until `count` workers are ready, counted in the service's own log. */
export async function readyAgain(service: ServiceProcess, before: number, count: number, timeoutMs = 60_000): Promise<number> {
  const from = performance.now();
  await until(`${count} new workers`, () => service.logs('worker ready').length >= before + count, timeoutMs).catch(() => undefined);
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
    'not 200': others.length === 0 ? 'none' : others.map(([outcome, count]) => `${count} × ${outcome}`).join('; '),
  };
}

export const isRead = (record: RequestRecord) => record.tag === 'read';
export const failedOf = (records: readonly RequestRecord[], tag: string) =>
  records.filter((record) => record.tag === tag && !isGood(record)).length;
