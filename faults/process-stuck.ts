import { isRunning, until, victimOf } from '../tests/support/service';
import { mixOf, startLoad } from './load';
import {
  createMix,
  failedOf,
  fixtureEntry,
  naiveEntry,
  pause,
  shown,
  withRealService,
  withService,
} from './process-kit';
import type { Scenario } from './scenario';
import { summarise } from './summary';

const stopped: Scenario = {
  name: 'worker-stopped',
  title: 'SIGSTOP of one worker, a client that repeats idempotent requests once',
  goal: 'replaced in ≤ 10 s; 0 failed reads',
  planted: 'no watchdog (WORKER_STALL_MS of 10 min)',
  run: ({ planted }) =>
    withRealService(
      { WORKERS: '4', ...(planted ? { WORKER_STALL_MS: '600000' } : {}) },
      async (service) => {
        const mix = mixOf(await createMix(service.url));
        const load = startLoad({
          targets: [service.url, service.url],
          failover: true,
          ratePerSecond: 200,
          connections: 100,
          timeoutMs: 11_000,
          request: mix,
        });
        await pause(1000);
        const victim = victimOf(service.workerPids());
        process.kill(victim, 'SIGSTOP');
        const from = performance.now();
        await until('its end', () => !isRunning(victim), 15_000).catch(() => undefined);
        const replacedMs = Math.round(performance.now() - from);
        if (isRunning(victim)) process.kill(victim, 'SIGKILL');
        await pause(1000);
        const records = await load.stop();
        const failedReads = failedOf(records, 'read');
        return {
          met: replacedMs <= 10_000 && failedReads === 0,
          figures: {
            'replaced ms': replacedMs,
            'failed reads': failedReads,
            ...shown(summarise(records)),
          },
        };
      },
    ),
};

const blocked: Scenario = {
  name: 'loop-blocked',
  title: "one worker's event loop blocked for 5 s",
  goal: '0 failed, 0 lost; nobody killed',
  planted: 'an impatient watchdog (WORKER_STALL_MS of 2 s)',
  run: ({ planted }) =>
    withService(
      {
        entry: fixtureEntry,
        env: { WORKERS: '4', ...(planted ? { WORKER_STALL_MS: '2000' } : {}) },
      },
      async (service) => {
        const load = startLoad({
          targets: [service.url],
          ratePerSecond: 300,
          connections: 50,
          timeoutMs: 10_000,
          request: () => ({ method: 'GET', path: '/' }),
        });
        await pause(1000);
        const blocking = await fetch(`${service.url}/block?amount=5000`).then(
          ({ status }) => status,
          () => 0,
        );
        await pause(1000);
        const summary = summarise(await load.stop());
        const kills = service.logs('worker unresponsive, killing').length;
        return {
          met: summary.failed === 0 && blocking === 200 && kills === 0,
          figures: { 'workers killed': kills, 'the blocking request': blocking, ...shown(summary) },
        };
      },
    ),
};

const stoppedHandover: Scenario = {
  name: 'connections-of-a-stopped-worker',
  title: 'SIGSTOP of one worker, every request on a new connection, each sent once',
  goal: '0 failed, 0 lost',
  planted: "Node's own round robin",
  run: ({ planted }) =>
    withService(
      {
        entry: planted ? naiveEntry : fixtureEntry,
        env: { WORKERS: '4', WORKER_STALL_MS: '3000' },
      },
      async (service) => {
        const request = () => ({ method: 'GET', path: '/', headers: { connection: 'close' } });
        const load = startLoad({
          targets: [service.url],
          ratePerSecond: 200,
          connections: 500,
          timeoutMs: 6000,
          request,
        });
        await pause(1000);
        const victim = victimOf(service.workerPids());
        process.kill(victim, 'SIGSTOP');
        // The naive cluster has no watchdog: kill its worker after the watchdog's time.
        await until('its end', () => !isRunning(victim), 4000).catch(() =>
          process.kill(victim, 'SIGKILL'),
        );
        await pause(1000);
        const summary = summarise(await load.stop());
        return { met: summary.failed === 0, figures: shown(summary) };
      },
    ),
};

export const stuck: readonly Scenario[] = [stopped, stoppedHandover, blocked];
