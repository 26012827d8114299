import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startLoad } from '../../faults/load';
import { summarise } from '../../faults/summary';
import { workerFlags } from '../../src/cluster/worker-flags';
import { freePort, isRunning, root, until, victimOf } from '../support/service';

interface Listed {
  readonly name: string;
  readonly pid: number;
  readonly pm2_env: { readonly status: string; readonly restart_time: number; readonly node_args: readonly string[] };
}

/** The real pm2 with a home of its own, and the service as the ecosystem file describes it. */
let env: Record<string, string>;
let dir: string;
let url: string;

function pm2(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path.join(root, 'node_modules/pm2/bin/pm2'), ...args], {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (part: Buffer) => {
      output += part.toString();
    });
    child.stderr.on('data', (part: Buffer) => {
      output += part.toString();
    });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve(output) : reject(new Error(`pm2 ${args.join(' ')}: ${code}\n${output}`))));
  });
}
const list = async () => {
  const output = await pm2('jlist');
  return JSON.parse(output.slice(output.indexOf('['))) as Listed[];
};
const workers = async () =>
  (await list()).filter(({ name, pm2_env }) => name === 'api' && pm2_env.status === 'online').map(({ pid }) => pid);
const health = async () =>
  (await (await fetch(`${url}/health`)).json()) as { status: string; workers: number; database: { engine: string } };
const open = () => startLoad({ targets: [url], ratePerSecond: 200, connections: 50, request: () => ({ method: 'GET', path: '/livez' }) });

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'pm2-'));
  const [port, opsPort] = [await freePort(), await freePort()];
  url = `http://127.0.0.1:${port}`;
  const { PATH = '' } = process.env;
  env = {
    PATH,
    HOME: dir,
    PM2_HOME: path.join(dir, 'home'),
    PORT: String(port),
    HOST: '127.0.0.1',
    OPS_PORT: String(opsPort),
    WORKERS: '2',
    DATA_DIR: path.join(dir, 'data'),
    RUNTIME_DIR: path.join(dir, 'run'),
    BCRYPT_COST: '4',
    RATE_LIMIT: 'false',
    DRAIN_IDLE_MS: '200',
  };
  await pm2('start', 'ecosystem.config.js');
}, 90_000);

afterAll(async () => {
  const pids = (await list()).map(({ pid }) => pid);
  await pm2('kill');
  await until('every process to end', () => !pids.some(isRunning));
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

test('the ecosystem file starts the embedded database and the workers, and returns when they are ready', async () => {
  expect((await list()).map(({ name, pm2_env }) => [name, pm2_env.status])).toEqual([
    ['api-database', 'online'],
    ['api', 'online'],
    ['api', 'online'],
  ]);
  expect(await health()).toMatchObject({ status: 'ok', workers: 2 });
  // As our own primary starts its workers.
  for (const { name, pm2_env } of await list()) expect(pm2_env.node_args).toEqual(name === 'api' ? workerFlags({ heapLimitMb: 512 }) : []);
});

test('a reload under 50 kept-alive connections replaces every worker and loses nothing', async () => {
  const before = await workers();
  const load = open();
  await pm2('reload', 'api');
  const summary = summarise(await load.stop());
  expect(summary.outcomes).toEqual({ 200: summary.planned });
  expect((await workers()).filter((pid) => before.includes(pid))).toHaveLength(0);
}, 60_000);

test('scale: one more worker, and back, without a failed request', async () => {
  const load = open();
  await pm2('scale', 'api', '3');
  await until('the third worker', async () => (await health()).workers === 3);
  await pm2('scale', 'api', '2');
  await until('two workers', async () => (await health()).workers === 2);
  expect(summarise(await load.stop()).failed).toBe(0);
}, 60_000);

test('a killed worker is started again', async () => {
  const victim = victimOf(await until('a worker', async () => ((pids) => pids.length > 0 && pids)(await workers())));
  process.kill(victim, 'SIGKILL');
  await until('two workers', async () => (await workers()).filter((pid) => pid !== victim).length === 2 && (await health()).workers === 2);
});

test('the metrics on the ops port are the sum over all workers, those that have ended included', async () => {
  const count = async () => {
    const text = await (await fetch(`http://127.0.0.1:${env['OPS_PORT']}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith('http_request_duration_seconds_count') && line.includes('/livez'));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };
  const before = await count();
  await Promise.all(Array.from({ length: 100 }, () => fetch(`${url}/livez`, { headers: { connection: 'close' } })));
  expect(await count()).toBe(before + 100);
  await pm2('reload', 'api');
  expect(await count()).toBe(before + 100);
}, 60_000);

test('stop ends every worker in order', async () => {
  const pids = await workers();
  await pm2('stop', 'api');
  expect(pids.some(isRunning)).toBe(false);
  await expect(fetch(url)).rejects.toThrow();
  // The tests run in any order.
  await pm2('restart', 'api');
}, 60_000);
