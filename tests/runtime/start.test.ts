import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { exitCodes } from '../../src/runtime/exit-codes';
import {
  isRunning,
  root,
  type ServiceProcess,
  startService,
  until,
  victimOf,
} from '../support/service';

const entry = path.join(root, 'dist', 'main.js');
let running: ServiceProcess[] = [];
const start = async (env: Record<string, string>, failing = false) => {
  const service = await startService({
    entry,
    env: { BCRYPT_COST: '4', DRAIN_IDLE_MS: '100', ...env },
    failing,
    timeoutMs: 60_000,
  });
  running.push(service);
  return service;
};

afterEach(async () => {
  await Promise.all(running.map((service) => service.close()));
  running = [];
});

test('reports all invalid settings at once, each by its variable, and starts nothing', async () => {
  const service = await start(
    {
      PORT: '70000',
      WORKERS: 'many',
      TRUST_PROXY: 'true',
      MONGODB_URI: 'postgres://x',
      JWT_SECRET: 'short',
    },
    true,
  );
  expect(await service.exited).toEqual({ code: exitCodes.config, signal: null });
  for (const name of ['PORT', 'WORKERS', 'TRUST_PROXY', 'MONGODB_URI', 'JWT_SECRET'])
    expect(service.stderr()).toContain(`${name} `);
  expect(service.stderr()).not.toContain('postgres://x');
});

test('refuses an argument, which would otherwise be ignored', () => {
  const { status, stderr } = spawnSync(process.execPath, [entry, '--port', '8080'], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect(status).toBe(exitCodes.config);
  expect(stderr).toContain('takes no arguments, but got "--port"');
});

test('production refuses to start without MONGODB_URI', async () => {
  const service = await start({ NODE_ENV: 'production' }, true);
  expect((await service.exited).code).toBe(exitCodes.config);
  expect(service.stderr()).toContain('MONGODB_URI');
});

test('an unreachable database stops the start within its timeout, with its own exit code', async () => {
  const unreachable = {
    MONGODB_URI: 'mongodb://127.0.0.1:9/x',
    DB_CONNECT_WAIT_MS: '500',
    DB_SERVER_SELECTION_TIMEOUT_MS: '200',
  };
  const service = await start(unreachable, true);
  expect((await service.exited).code).toBe(exitCodes.unavailable);
});

test('the service on its embedded database leaves no process behind when workers and primary are killed', async () => {
  const service = await start({ WORKERS: '2', MONGODB_URI: '' });
  const health = async () =>
    (await (await fetch(`${service.url}/health`)).json()) as {
      status: string;
      workers: number;
      database: { engine: string };
    };
  expect(await health()).toMatchObject({ status: 'ok', workers: 2 });
  const victim = victimOf(service.workerPids());
  process.kill(victim, 'SIGKILL');
  await service.waitForLog('worker exited unexpectedly');
  await until('the service to be whole', async () => (await health()).workers === 2);
  const databasePid = Number(
    service.logs().find((line) => line['databasePid'] !== undefined)?.['databasePid'],
  );
  expect(isRunning(databasePid)).toBe(true);
  const pids = [...service.workerPids(), databasePid];
  service.signal('SIGKILL');
  await until('every process to end', () => !pids.some(isRunning));
});

test('SIGTERM ends primary, workers and embedded database with exit code 0', async () => {
  const service = await start({ WORKERS: '2', MONGODB_URI: '' });
  const databasePid = Number(
    service.logs().find((line) => line['databasePid'] !== undefined)?.['databasePid'],
  );
  service.signal('SIGTERM');
  expect(await service.exited).toEqual({ code: exitCodes.ok, signal: null });
  expect([...service.workerPids(), databasePid].filter(isRunning)).toHaveLength(0);
});
