import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type EmbeddedDatabase, startEmbeddedDatabase } from '../dev/embedded-mongo';
import { createLogger } from '../src/platform/telemetry/logger';
import { startTestRedis, type TestRedis } from '../tests/support/redis';
import { type ServiceProcess, startService } from '../tests/support/service';
import { type MongoProxy, startMongoProxy } from './mongo-proxy';
import { pause, QUIET, serviceEntry } from './process-kit';

/** A service whose connection to its database can be disturbed. */
export interface Stage {
  readonly service: ServiceProcess;
  readonly proxy: MongoProxy;
  readonly database: EmbeddedDatabase;
  /** A second service on the same database, with an undisturbed connection. */
  startAnother(): Promise<ServiceProcess>;
}

export async function withDatabaseStage<T>(
  env: Record<string, string>,
  use: (stage: Stage) => Promise<T>,
): Promise<T> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'faults-db-'));
  const log = createLogger({ level: 'silent' });
  const closing: (() => Promise<unknown>)[] = [
    async () => rmSync(dataDir, { recursive: true, force: true }),
  ];
  try {
    const database = await startEmbeddedDatabase({ mode: 'auto', dataDir, log });
    closing.push(database.close);
    const redis: TestRedis = await startTestRedis();
    closing.push(redis.close);
    const proxy = await startMongoProxy(database.uri);
    closing.push(proxy.close);
    const start = async (uri: string) => {
      const service = await startService({
        entry: serviceEntry,
        env: { ...QUIET, WORKERS: '2', REDIS_URL: redis.url, ...env, MONGODB_URI: uri },
      });
      closing.push(service.close);
      return service;
    };
    const service = await start(proxy.uri);
    return await use({ service, proxy, database, startAnother: () => start(database.uri) });
  } finally {
    for (const close of closing.reverse()) await close().catch(() => undefined);
  }
}

export interface User {
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
}

export async function registerUsers(url: string, count: number): Promise<User[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const body = JSON.stringify({
        name: 'w0',
        email: `u${n}-${process.hrtime.bigint()}@example.com`,
        password: 'a long enough password',
      });
      const answer = await fetch(`${url}/api/auth/register`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      });
      const { user, access_token } = (await answer.json()) as {
        user: { id: string };
        access_token: string;
      };
      return {
        id: user.id,
        headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
      };
    }),
  );
}

export interface Writer {
  /** Stops; resolves with the highest acknowledged number and the count of acknowledged writes. */
  stop(): Promise<{
    readonly acknowledged: number;
    readonly last: number;
    readonly slowestMs: number;
    readonly withoutRetryAfter: number;
  }>;
}

/** Renames one user to w1, w2, … sequentially, regardless of the responses. */
export function startWriter(url: string, user: User): Writer {
  let [acknowledged, last, slowestMs, withoutRetryAfter, isOver] = [0, 0, 0, 0, false];
  const work = (async () => {
    for (let n = 1; !isOver; n++) {
      const from = performance.now();
      try {
        const answer = await fetch(`${url}/api/users/me`, {
          method: 'PATCH',
          headers: user.headers,
          body: JSON.stringify({ name: `w${n}` }),
        });
        await answer.arrayBuffer();
        slowestMs = Math.max(slowestMs, performance.now() - from);
        if (answer.status === 200) [acknowledged, last] = [acknowledged + 1, n];
        else if (answer.headers.get('retry-after') === null) withoutRetryAfter++;
      } catch {
        // No response: as after a 503, the outcome of the write is unknown.
      }
      slowestMs = Math.max(slowestMs, performance.now() - from);
      await pause(20);
    }
  })();
  return {
    async stop() {
      isOver = true;
      await work;
      return { acknowledged, last, slowestMs: Math.round(slowestMs), withoutRetryAfter };
    },
  };
}

/** The number in the user's name, read from the service. */
export async function writtenNumber(url: string, user: User): Promise<number> {
  const answer = await fetch(`${url}/api/users/me`, {
    headers: user.headers,
    signal: AbortSignal.timeout(15_000),
  });
  return Number(((await answer.json()) as { name: string }).name.slice(1));
}

/** Watches readiness and liveness every 50 ms. Times are ms since the watch began. */
export function watchHealth(url: string) {
  const start = performance.now();
  const seen: { readonly atMs: number; readonly ready: boolean; readonly alive: boolean }[] = [];
  let isOver = false;
  const ask = (path: string) =>
    fetch(url + path, { signal: AbortSignal.timeout(4000) }).then(
      ({ status }) => status === 200,
      () => false,
    );
  const work = (async () => {
    while (!isOver) {
      const [ready, alive] = await Promise.all([ask('/readyz'), ask('/livez')]);
      seen.push({ atMs: performance.now() - start, ready, alive });
      await pause(50);
    }
  })();
  return {
    nowMs: () => performance.now() - start,
    firstAfter: (atMs: number, ready: boolean) =>
      seen.find((one) => one.atMs > atMs && one.ready === ready)?.atMs,
    async stop() {
      isOver = true;
      await work;
      return { deaths: seen.filter(({ alive }) => !alive).length };
    },
  };
}

export const residentMb = (pids: readonly number[]) =>
  Math.round(
    Math.max(
      ...pids.map((pid) =>
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0),
      ),
    ) / 1024,
  );
