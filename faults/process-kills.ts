import { startNginx } from '../tests/support/balancers';
import { startTestMongo } from '../tests/support/mongo';
import {
  isRunning,
  type ServiceProcess,
  startService,
  until,
  victimOf,
} from '../tests/support/service';
import { findTool } from '../tests/support/tools';
import { withoutRetry } from './hosts-setup';
import { mixOf, startLoad } from './load';
import {
  createMix,
  failedOf,
  fixtureEntry,
  naiveEntry,
  pause,
  QUIET,
  readyAgain,
  serviceEntry,
  shown,
  withRealService,
  withService,
} from './process-kit';
import { type Scenario, SkipScenario } from './scenario';
import { firstGoodAfter, summarise } from './summary';

const eachInTurn: Scenario = {
  name: 'each-worker-in-turn',
  title: 'kill -9 of each worker in turn, 2 min, two hosts of two workers behind NGINX',
  goal: '0 failed reads; each time whole in ≤ 2 s',
  planted: 'no retry at the edge',
  run: async ({ quick, planted }) => {
    if (findTool('nginx') === undefined) throw new SkipScenario('nginx not installed');
    const mongo = await startTestMongo();
    const hosts: ServiceProcess[] = [];
    try {
      // Sequentially: the first creates the indexes and the signing keys.
      for (let n = 0; n < 2; n++)
        hosts.push(
          await startService({
            entry: serviceEntry,
            env: { ...QUIET, WORKERS: '2', MONGODB_URI: mongo.uri },
          }),
        );
      const edge = await startNginx({
        hosts: hosts.map(({ port }) => `127.0.0.1:${port}`),
        ...(planted ? { edit: withoutRetry } : {}),
      });
      try {
        const load = startLoad({
          targets: [edge.url],
          ratePerSecond: 150,
          connections: 100,
          request: mixOf(await createMix(edge.url)),
        });
        const endMs = quick || planted ? 15_000 : 120_000;
        let kills = 0;
        let slowestMs = 0;
        while (load.elapsedMs() < endMs) {
          await pause(1500);
          const host = hosts[kills % 2] as ServiceProcess;
          slowestMs = Math.max(slowestMs, await killOne(host));
          kills++;
        }
        const records = await load.stop();
        const failedReads = failedOf(records, 'read');
        const figures = {
          kills,
          'failed reads': failedReads,
          'failed writes': failedOf(records, 'write'),
          'slowest whole ms': slowestMs,
        };
        return {
          met: failedReads === 0 && slowestMs <= 2000,
          figures: { ...figures, ...shown(summarise(records)) },
        };
      } finally {
        await edge.close();
      }
    } finally {
      for (const host of hosts) await host.close();
      await mongo.close();
    }
  },
};

/**
 * Kills the oldest worker while it holds requests: it stands still for a moment first. Ms until a
 * successor is ready.
 */
async function killOne(host: ServiceProcess): Promise<number> {
  const victim = victimOf(host.workerPids());
  const before = host.logs('worker ready').length;
  process.kill(victim, 'SIGSTOP');
  await pause(100);
  process.kill(victim, 'SIGKILL');
  return readyAgain(host, before, 1);
}

const allWorkers: Scenario = {
  name: 'all-workers-killed',
  title: 'kill -9 of all workers at once',
  goal: 'first 200 in ≤ 3 s; whole in ≤ 5 s',
  planted: 'a restart pause of 5 s (the workers are young: WORKER_STABLE_MS raised)',
  run: ({ planted }) =>
    withRealService(
      {
        WORKERS: '4',
        ...(planted
          ? {
              RESTART_BACKOFF_BASE_MS: '10000',
              RESTART_BACKOFF_MAX_MS: '10000',
              WORKER_STABLE_MS: '60000',
            }
          : {}),
      },
      async (service) => {
        const mix = mixOf(await createMix(service.url));
        const load = startLoad({
          targets: [service.url],
          ratePerSecond: 200,
          connections: 100,
          timeoutMs: 15_000,
          request: mix,
        });
        await pause(1500);
        const before = service.logs('worker ready').length;
        const moment = load.elapsedMs();
        for (const pid of service.workerPids()) process.kill(pid, 'SIGKILL');
        const wholeMs = await readyAgain(service, before, 4, 30_000);
        await pause(1000);
        const records = await load.stop();
        const firstMs = firstGoodAfter(records, moment) ?? Number.POSITIVE_INFINITY;
        return {
          met: firstMs <= 3000 && wholeMs <= 5000,
          figures: { 'first 200 ms': firstMs, 'whole ms': wholeMs, ...shown(summarise(records)) },
        };
      },
    ),
};

const primaryKilled: Scenario = {
  name: 'primary-killed',
  title: 'kill -9 of the primary with requests of 2 s in flight',
  goal: '0 requests in flight cut; 0 orphans after ≤ 10 s',
  planted: 'a plain cluster, whose workers end with the primary',
  run: ({ planted }) =>
    withService(
      { entry: planted ? naiveEntry : fixtureEntry, env: { WORKERS: '4' } },
      async (service) => {
        const workers = service.workerPids();
        const load = startLoad({
          targets: [service.url],
          ratePerSecond: 100,
          connections: 500,
          request: () => ({ method: 'GET', path: '/slow?amount=2000' }),
        });
        await pause(1500);
        const moment = load.elapsedMs();
        service.signal('SIGKILL');
        const from = performance.now();
        await until('the workers to end', () => !workers.some(isRunning), 10_000).catch(
          () => undefined,
        );
        const endMs = Math.round(performance.now() - from);
        const records = await load.stop();
        // A request sent just before the kill may not have reached a worker.
        const held = records.filter(({ sentMs }) => sentMs !== undefined && sentMs < moment - 100);
        const cut = held.filter(({ status }) => status !== 200).length;
        const orphans = workers.filter(isRunning).length;
        return {
          met: cut === 0 && orphans === 0,
          figures: {
            'in flight': held.filter(
              ({ answeredMs }) => answeredMs === undefined || answeredMs > moment,
            ).length,
            cut,
            orphans,
            'workers gone ms': endMs,
          },
        };
      },
    ),
};

export const kills: readonly Scenario[] = [eachInTurn, allWorkers, primaryKilled];
