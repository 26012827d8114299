import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { startTestMongo } from '../tests/support/mongo';
import { run } from '../tests/support/processes';
import { freePort, until } from '../tests/support/service';
import { mixOf, startLoad } from './load';
import {
  createMix,
  fixtureEntry,
  naiveEntry,
  pause,
  QUIET,
  serviceEntry,
  shown,
  unbundledEntry,
  withRealService,
  withService,
} from './process-kit';
import { type Scenario, SkipScenario } from './scenario';
import { summarise } from './summary';

const descriptors: Scenario = {
  name: 'descriptor-limit',
  title: '64 descriptors per process, 300 connections opened and held for 3 s',
  goal: 'no worker dies; afterwards 0 failed; connections that a worker could not receive are answered all the same',
  run: async () =>
    withShell(
      `ulimit -n 64; exec "$0" "$1"`,
      fixtureEntry,
      { WORKERS: '2' },
      async ({ url, port, output }) => {
        const held: Socket[] = [];
        for (let i = 0; i < 300; i++) held.push(connect(port, '127.0.0.1').on('error', () => {}));
        await pause(3000);
        for (const socket of held) socket.destroy();
        await pause(500);
        const load = startLoad({
          targets: [url],
          ratePerSecond: 50,
          connections: 5,
          request: () => ({ method: 'GET', path: '/', headers: { connection: 'close' } }),
        });
        await pause(4000);
        const summary = summarise(await load.stop());
        const deaths =
          output().split('"worker exited unexpectedly"').length -
          1 +
          output().split('"fatal error, worker exiting"').length -
          1;
        return {
          met: summary.failed === 0 && deaths === 0,
          figures: { 'workers died': deaths, ...shown(summary) },
        };
      },
    ),
};

interface Shelled {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  output(): string;
}

/**
 * A service started by a shell line, where `$0` is node and `$1` the entry; its log goes where the
 * line says.
 */
async function withShell<T>(
  line: string,
  entry: string,
  env: Record<string, string>,
  use: (service: Shelled) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(path.join(tmpdir(), 'faults-shell-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const { PATH = '' } = process.env;
  const given = {
    PATH,
    HOME: dir,
    ...QUIET,
    PORT: String(port),
    HOST: '127.0.0.1',
    OPS_PORT: '0',
    WORKERS: '4',
    RUNTIME_DIR: path.join(dir, 'run'),
    FOLDER: dir,
    ...env,
  };
  const shell = run(['bash', '-c', line, process.execPath, entry], { cwd: dir, env: given });
  try {
    await until(
      'the service',
      async () => (await fetch(`${url}/livez`).catch(() => undefined))?.status === 200,
      20_000,
    );
    return await use({ url, port, pid: shell.pid, output: shell.output });
  } finally {
    await shell.stop(12_000);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** A load of 500 requests/s that fills any log quickly, and the figures after it. */
async function loadOn(url: string, ms: number) {
  const load = startLoad({
    targets: [url],
    ratePerSecond: 500,
    connections: 50,
    request: () => ({ method: 'GET', path: '/livez' }),
  });
  await pause(ms);
  return summarise(await load.stop());
}

const diskFull: Scenario = {
  name: 'log-disk-full',
  title: 'standard output on a full disk (/dev/full), one log line per request',
  goal: '0 failed, 0 lost; SIGTERM still ends it',
  planted: 'a plain cluster that logs by console.log',
  run: async ({ planted }) => {
    if (!existsSync('/dev/full')) throw new SkipScenario('no /dev/full');
    return withDatabaseOf(planted, (entry, env) =>
      withShell('exec "$0" "$1" > /dev/full', entry, env, async ({ url }) => {
        const summary = await loadOn(url, 4000);
        return { met: summary.failed === 0, figures: shown(summary) };
      }).catch((error: Error) => ({ met: false, figures: { error: error.message } })),
    );
  },
};

const readerStopped: Scenario = {
  name: 'log-reader-stopped',
  title: 'the reader of the log pipe reads no more, one log line per request',
  goal: '0 failed, 0 lost',
  planted: 'a plain cluster that writes its log synchronously',
  run: async ({ planted }) =>
    withDatabaseOf(planted, (entry, env) =>
      // It holds the pipe open and never reads; the 64 KiB are full after some hundred lines.
      withShell(
        'exec "$0" "$1" > >(exec sleep 60)',
        entry,
        { ...env, NAIVE_SYNC: 'true' },
        async ({ url }) => {
          const summary = await loadOn(url, 4000);
          return { met: summary.failed === 0, figures: shown(summary) };
        },
      ).catch((error: Error) => ({ met: false, figures: { error: error.message } })),
    ),
};

const readerGone: Scenario = {
  name: 'log-reader-gone',
  title: 'the reader of the log pipe gone (EPIPE)',
  goal: '0 failed, 0 lost',
  planted: 'a plain cluster that logs by console.log',
  run: async ({ planted }) =>
    withDatabaseOf(planted, (entry, env) =>
      withShell('exec "$0" "$1" > >(exec sleep 2)', entry, env, async ({ url }) => {
        const summary = await loadOn(url, 4000);
        return { met: summary.failed === 0, figures: shown(summary) };
      }).catch((error: Error) => ({ met: false, figures: { error: error.message } })),
    ),
};

/**
 * The service with its database and one log line per request; or the planted cluster, which needs
 * no database.
 */
async function withDatabaseOf<T>(
  planted: boolean,
  use: (entry: string, env: Record<string, string>) => Promise<T>,
): Promise<T> {
  if (planted) return use(naiveEntry, {});
  const mongo = await startTestMongo();
  try {
    return await use(serviceEntry, { MONGODB_URI: mongo.uri, ACCESS_LOG: 'true' });
  } finally {
    await mongo.close();
  }
}

const clock: Scenario = {
  name: 'clock-jumps',
  title: 'the wall clock jumps by +1 h, back, and by -1 h (as JavaScript sees it)',
  goal: 'no worker replaced; 0 failed',
  planted: 'every process trusts its own clock',
  run: async ({ planted }) => {
    const dir = mkdtempSync(path.join(tmpdir(), 'clock-'));
    const file = path.join(dir, 'shift');
    const preload = path.join(__dirname, 'programs', 'clock-shift.js');
    const own = planted ? ` --require ${path.join(__dirname, 'programs', 'own-clock.js')}` : '';
    const env = {
      NODE_OPTIONS: `--require ${preload}${own}`,
      CLOCK_SHIFT_FILE: file,
      ACCESS_TOKEN_TTL_SECONDS: '86400',
      WORKERS: '4',
    };
    try {
      return await withRealService(
        env,
        async (service) => {
          const load = startLoad({
            targets: [service.url],
            ratePerSecond: 200,
            connections: 50,
            request: mixOf(await createMix(service.url)),
          });
          for (const hours of [1, 0, -1, 0]) {
            writeFileSync(file, String(hours * 3_600_000));
            await pause(3000);
          }
          const records = await load.stop();
          const summary = summarise(records);
          const replaced =
            service.logs('worker exited unexpectedly').length +
            service.logs('worker unresponsive, killing').length;
          const refused = records.filter(({ status }) => status === 401).length;
          return {
            met: replaced === 0 && summary.failed + refused === 0,
            figures: { 'workers replaced': replaced, '401': refused, ...shown(summary) },
          };
        },
        planted ? unbundledEntry : serviceEntry,
      );
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};

const cpuHalved: Scenario = {
  name: 'cpu-halved',
  title: 'half of the cores taken away from the running service',
  goal: '0 failed, 0 lost; no worker killed',
  planted: 'a watchdog of 200 ms on one core',
  run: async ({ planted }) => {
    if (spawnSync('taskset', ['-V']).status !== 0) throw new SkipScenario('taskset not installed');
    const env = {
      WORKERS: '4',
      ...(planted ? { WORKER_STALL_MS: '200', WORKER_HEARTBEAT_MS: '50' } : {}),
    };
    return withRealService(env, async (service) => {
      const load = startLoad({
        targets: [service.url],
        ratePerSecond: 200,
        connections: 50,
        request: mixOf(await createMix(service.url)),
      });
      await pause(1500);
      const cores = planted ? '0' : `0-${Math.max(0, Math.floor(availableParallelism() / 2) - 1)}`;
      for (const pid of [service.pid, ...service.workerPids()])
        for (const thread of readdirSync(`/proc/${pid}/task`))
          spawnSync('taskset', ['-cp', cores, thread]);
      if (planted) for (const pid of service.workerPids()) process.kill(pid, 'SIGSTOP');
      await pause(planted ? 700 : 8000);
      const summary = summarise(await load.stop());
      const killed = service.logs('worker unresponsive, killing').length;
      return {
        met: summary.failed === 0 && killed === 0,
        figures: { cores, 'workers killed': killed, ...shown(summary) },
      };
    });
  },
};

const memoryOf = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

export { memoryOf };

const heap: Scenario = {
  name: 'heap-outgrown',
  title: "one worker's heap grows over its limit under load",
  goal: 'replaced, successor first; 0 failed, 0 lost',
  planted: 'no soft limit (WORKER_HEAP_LIMIT_MB raised)',
  run: ({ planted }) =>
    withService(
      { entry: fixtureEntry, env: { WORKERS: '2', WORKER_HEAP_LIMIT_MB: planted ? '4096' : '96' } },
      async (service) => {
        const load = startLoad({
          targets: [service.url],
          ratePerSecond: 200,
          connections: 50,
          request: () => ({ method: 'GET', path: '/' }),
        });
        await pause(500);
        await fetch(`${service.url}/hoard?amount=110`);
        const replaced = await until(
          'the replacement',
          () => service.logs('worker exited').length > 0,
          8000,
        ).catch(() => false);
        const summary = summarise(await load.stop());
        const died = service.logs('worker exited unexpectedly').length;
        return {
          met: replaced && summary.failed === 0 && died === 0,
          figures: { replaced: replaced ? 'yes' : 'no', 'workers died': died, ...shown(summary) },
        };
      },
    ),
};

export const host: readonly Scenario[] = [
  descriptors,
  diskFull,
  readerStopped,
  readerGone,
  clock,
  cpuHalved,
  heap,
];
