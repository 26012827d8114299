import { connect } from 'mongoose';
import { createClient } from '../packages/client/src';
import { type CuttingProxy, startCuttingProxy } from '../tests/support/cutting-proxy';
import { startTestMongo } from '../tests/support/mongo';
import { isRunning, type ServiceProcess, victimOf } from '../tests/support/service';
import { createStorage, packageClient, plainClient, runLoad } from './client-load';
import { tabRaces } from './client-tabs';
import { pause, QUIET, readyAgain, serviceEntry, withService } from './process-kit';
import type { Scenario, Suite } from './scenario';

const WORKERS = 2;

/** Rolling reloads and kills in turn, until the load is done. */
async function trouble(service: ServiceProcess, isDone: () => boolean, withKills: boolean) {
  let [reloads, kills] = [0, 0];
  while (!isDone()) {
    await pause(1000);
    const before = service.logs('worker ready').length;
    if (withKills && kills <= reloads) {
      process.kill(victimOf(service.workerPids().filter(isRunning)), 'SIGKILL');
      kills += 1;
      await readyAgain(service, before, 1, 15_000);
    } else {
      service.signal('SIGHUP');
      reloads += 1;
      await readyAgain(service, before, WORKERS, 30_000);
    }
  }
  return { reloads, kills };
}

async function withCutService<T>(
  use: (service: ServiceProcess, proxy: CuttingProxy, databaseUri: string) => Promise<T>,
): Promise<T> {
  const mongo = await startTestMongo();
  const env = {
    ...QUIET,
    MONGODB_URI: mongo.uri,
    WORKERS: String(WORKERS),
    ACCESS_TOKEN_TTL_SECONDS: '60',
  };
  try {
    return await withService({ entry: serviceEntry, env, timeoutMs: 60_000 }, async (service) => {
      const proxy = await startCuttingProxy(service.port, 10);
      try {
        return await use(service, proxy, mongo.uri);
      } finally {
        await proxy.close();
      }
    });
  } finally {
    await mongo.close();
  }
}

/** Registrations that are not there exactly once. */
async function wrongAccounts(uri: string, emails: readonly string[]): Promise<number> {
  const { connection } = await connect(uri);
  try {
    const found = await connection
      .collection('users')
      .aggregate<{ _id: string; count: number }>([
        { $match: { email: { $in: [...emails] } } },
        { $group: { _id: '$email', count: { $sum: 1 } } },
      ])
      .toArray();
    return emails.length - found.filter(({ count }) => count === 1).length;
  } finally {
    await connection.close();
  }
}

const lostAnswers: Scenario = {
  name: 'lost-answers',
  title: 'every tenth answer cut, rolling reloads and kill -9 of workers',
  goal: '0 errors, 0 lost updates, 0 stale reads, each account there once',
  planted: 'a plain typed client',
  run: ({ quick, planted }) =>
    withCutService(async (service, proxy, uri) => {
      let isDone = false;
      const troubled = trouble(service, () => isDone, true);
      const clientOf = planted ? plainClient : packageClient;
      const operations = quick || planted ? 400 : 10_000;
      const { registered, firstError, ...seen } = await runLoad(
        clientOf,
        proxy.url,
        service.url,
        operations,
      ).finally(() => {
        isDone = true;
      });
      const { reloads, kills } = await troubled;
      const wrong = await wrongAccounts(uri, registered);
      return {
        met:
          seen.errors + seen.lostUpdates + seen.staleReads + wrong === 0 &&
          proxy.cut() > operations / 20 &&
          kills > 0,
        figures: {
          operations: seen.operations,
          errors: seen.errors,
          'lost updates': seen.lostUpdates,
          'stale reads': seen.staleReads,
          registrations: registered.length,
          'not there once': wrong,
          'answers cut': proxy.cut(),
          reloads,
          kills,
          'slowest ms': seen.slowestMs,
          ...(firstError === undefined ? {} : { 'first error': firstError }),
        },
      };
    }),
};

const counter: Scenario = {
  name: 'counters',
  title: 'one counter, six clients that count it up, every tenth answer cut, rolling reloads',
  goal: 'each call counted once, 0 errors',
  planted: 'no Idempotency-Key',
  run: ({ quick, planted }) =>
    withCutService(async (service, proxy) => {
      const storage = createStorage();
      await createClient({ baseUrl: service.url, storage }).auth.register({
        ...{ name: 'Ada', email: 'ada@example.org', password: 'correct horse battery' },
      });
      const withoutKey: typeof fetch = (url, init) => {
        const headers = new Headers(init?.headers);
        headers.delete('idempotency-key');
        return fetch(url, { ...init, headers });
      };
      const calls = quick || planted ? 60 : 1000;
      let [begun, errors, isDone] = [0, 0, false];
      const troubled = trouble(service, () => isDone, false);
      const countUp = async (): Promise<void> => {
        const fault = planted ? { fetch: withoutKey } : {};
        const client = createClient({ baseUrl: proxy.url, storage, timeoutMs: 90_000, ...fault });
        while (begun++ < calls)
          await client.users
            .update('me', ({ user_metadata }) => ({
              user_metadata: { count: Number(user_metadata?.['count'] ?? 0) + 1 },
            }))
            .catch(() => {
              errors += 1;
            });
      };
      await Promise.all(Array.from({ length: 6 }, countUp));
      isDone = true;
      const { reloads } = await troubled;
      const reader = createClient({ baseUrl: service.url, storage });
      const count = Number((await reader.users.get('me')).user_metadata?.['count']);
      return {
        met: errors === 0 && count === calls,
        figures: { calls, count, errors, 'answers cut': proxy.cut(), reloads },
      };
    }),
};

export const suite: Suite = {
  name: 'client',
  title: 'The client package',
  setting:
    'The built service with two workers and its database, behind a TCP proxy that cuts answers; six users with three clients each. Tabs are pages in Chromium.',
  scenarios: [lostAnswers, counter, tabRaces],
};
