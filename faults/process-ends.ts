import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isRunning, startService, until } from '../tests/support/service';
import { mixOf, startLoad } from './load';
import {
  createMix,
  fixtureEntry,
  naiveEntry,
  pause,
  QUIET,
  shown,
  withRealService,
  withService,
} from './process-kit';
import type { Scenario } from './scenario';
import { summarise } from './summary';

const reloads: Scenario = {
  name: 'rolling-reloads',
  title:
    '20 rolling reloads (SIGHUP) under 50 kept-alive connections, no balancer, each request sent once',
  goal: '0 failed, 0 lost',
  planted: 'a plain cluster that restarts its workers',
  run: ({ quick, planted }) => {
    const turns = quick ? 3 : planted ? 5 : 20;
    const underLoad: Parameters<typeof withRealService<Awaited<ReturnType<Scenario['run']>>>>[1] =
      async (service) => {
        const request = planted
          ? () => ({ method: 'GET', path: '/' })
          : mixOf(await createMix(service.url));
        const load = startLoad({
          targets: [service.url],
          ratePerSecond: 150,
          connections: 50,
          request,
        });
        for (let turn = 1; turn <= turns; turn++) {
          await pause(300);
          service.signal('SIGHUP');
          await until(
            `reload ${turn}`,
            () => service.logs('rolling reload finished').length === turn,
            60_000,
          );
        }
        await pause(500);
        const summary = summarise(await load.stop());
        return { met: summary.failed === 0, figures: { reloads: turns, ...shown(summary) } };
      };
    return planted
      ? withService({ entry: naiveEntry, env: { WORKERS: '4' } }, underLoad)
      : withRealService({ WORKERS: '4' }, underLoad);
  },
};

const terminated: Scenario = {
  name: 'sigterm',
  title: 'SIGTERM with requests of 2 s in flight and idle connections open',
  goal: '0 in flight cut; exit 0 in ≤ 10 s; nothing left behind',
  planted: 'a plain cluster',
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
        const from = performance.now();
        service.signal('SIGTERM');
        const { code, signal } = await service.exited;
        const endMs = Math.round(performance.now() - from);
        const records = await load.stop();
        const held = records.filter(
          ({ sentMs, answeredMs }) =>
            sentMs !== undefined &&
            sentMs < moment &&
            (answeredMs === undefined || answeredMs > moment),
        );
        const cut = held.filter(({ status }) => status !== 200).length;
        const left = workers.filter(isRunning).length;
        return {
          met: cut === 0 && code === 0 && endMs <= 10_000 && left === 0,
          figures: {
            'in flight': held.length,
            cut,
            exit: code ?? String(signal),
            'ended ms': endMs,
            'left behind': left,
          },
        };
      },
    ),
};

const crashLoop: Scenario = {
  name: 'crash-loop',
  title: 'workers that crash at their start for 5 min, then the repair',
  goal: '≤ 60 starts a minute; healed in ≤ 20 s',
  planted: 'no back-off (base and bound of 1 ms)',
  run: async ({ quick, planted }) => {
    const dir = mkdtempSync(path.join(tmpdir(), 'crash-loop-'));
    const fault = path.join(dir, 'fault');
    const backoff = planted ? { RESTART_BACKOFF_BASE_MS: '1', RESTART_BACKOFF_MAX_MS: '10' } : {};
    const service = await startService({
      entry: fixtureEntry,
      env: { ...QUIET, WORKERS: '4', FIXTURE_BREAK: fault, ...backoff },
    });
    try {
      writeFileSync(fault, 'exit 1');
      const from = performance.now();
      for (const pid of service.workerPids()) process.kill(pid, 'SIGKILL');
      await pause(quick || planted ? 30_000 : 300_000);
      const minutes = (performance.now() - from) / 60_000;
      const deaths = service.logs('worker exited unexpectedly');
      const times = deaths.map(({ time }) => Date.parse(String(time)));
      const inOneMinute = Math.max(
        ...times.map(
          (start) => times.filter((time) => time >= start && time < start + 60_000).length,
        ),
      );
      rmSync(fault);
      const repaired = performance.now();
      await until(
        'the service to heal',
        async () =>
          ((await (await fetch(service.url)).json()) as { workers: number }).workers === 4,
        30_000,
      ).catch(() => undefined);
      const healedMs = Math.round(performance.now() - repaired);
      return {
        met: Math.max(inOneMinute, deaths.length / minutes) <= 60 && healedMs <= 20_000,
        figures: {
          minutes: Math.round(minutes * 10) / 10,
          starts: deaths.length,
          'most in a minute': inOneMinute,
          'per minute': Math.round(deaths.length / minutes),
          'healed ms': healedMs,
        },
      };
    } finally {
      await service.close();
      rmSync(dir, { recursive: true, force: true });
    }
  },
};

export const ends: readonly Scenario[] = [reloads, terminated, crashLoop];
