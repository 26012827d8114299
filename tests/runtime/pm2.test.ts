import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startLoad } from '../../faults/load';
import { summarise } from '../../faults/summary';
import { workerFlags } from '../../src/runtime/primary/worker-flags';
import { createClient, register } from '../support/http';
import { freePort, isRunning, root, until, victimOf } from '../support/service';

interface Listed {
  readonly name: string;
  readonly pid: number;
  readonly pm2_env: {
    readonly status: string;
    readonly restart_time: number;
    readonly exit_code?: number;
    readonly node_args: readonly string[];
  };
}

/** Runs the real pm2 with its own PM2_HOME, and the service from the ecosystem file. */
let env: Record<string, string>;
let dir: string;
let url: string;

function pm2(...args: string[]): Promise<string> {
  return pm2In(env, ...args);
}

function pm2In(environment: Record<string, string>, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path.join(root, 'node_modules/pm2/bin/pm2'), ...args], {
      cwd: root,
      env: environment,
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
    child.once('exit', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`pm2 ${args.join(' ')}: ${code}\n${output}`)),
    );
  });
}
const list = async () => {
  const output = await pm2('jlist');
  return JSON.parse(output.slice(output.indexOf('['))) as Listed[];
};
const workers = async () =>
  (await list())
    .filter(({ name, pm2_env }) => name === 'api' && pm2_env.status === 'online')
    .map(({ pid }) => pid);
const health = async () =>
  (await (await fetch(`${url}/health`)).json()) as {
    status: string;
    workers: number;
    database: { engine: string };
  };
const open = () =>
  startLoad({
    targets: [url],
    ratePerSecond: 200,
    connections: 50,
    request: () => ({ method: 'GET', path: '/livez' }),
  });

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
  // The daemon keeps the environment of the shell that started it, here an unrelated one.
  await pm2In(
    { ...env, DATA_DIR: path.join(dir, 'other-data'), PORT: '1', OPS_PORT: '2', BCRYPT_COST: '5' },
    'ping',
  );
  await pm2('start', 'ecosystem.config.js');
});

afterAll(async () => {
  const pids = (await list()).map(({ pid }) => pid);
  await pm2('kill');
  await until('every process to end', () => !pids.some(isRunning));
  rmSync(dir, { recursive: true, force: true });
});

test('the ecosystem file starts the embedded database and the workers, and returns when they are ready', async () => {
  expect((await list()).map(({ name, pm2_env }) => [name, pm2_env.status])).toEqual([
    ['api-database', 'online'],
    ['api', 'online'],
    ['api', 'online'],
  ]);
  expect(await health()).toMatchObject({ status: 'ok', workers: 2 });
  // The same flags as under the service's own primary.
  for (const { name, pm2_env } of await list())
    expect(pm2_env.node_args).toEqual(name === 'api' ? workerFlags({ heapLimitMb: 512 }) : []);
});

test('a reload under 50 kept-alive connections replaces every worker and loses nothing', async () => {
  const before = await workers();
  const load = open();
  await pm2('reload', 'api');
  const summary = summarise(await load.stop());
  expect(summary.outcomes).toEqual({ 200: summary.planned });
  expect((await workers()).filter((pid) => before.includes(pid))).toHaveLength(0);
});

test('scale: one more worker, and back, without a failed request', async () => {
  const load = open();
  await pm2('scale', 'api', '3');
  await until('the third worker', async () => (await health()).workers === 3);
  await pm2('scale', 'api', '2');
  await until('two workers', async () => (await health()).workers === 2);
  expect(summarise(await load.stop()).failed).toBe(0);
});

test('a killed worker is restarted', async () => {
  const victim = victimOf(
    await until('a worker', async () => ((pids) => pids.length > 0 && pids)(await workers())),
  );
  process.kill(victim, 'SIGKILL');
  await until(
    'two workers',
    async () =>
      (await workers()).filter((pid) => pid !== victim).length === 2 &&
      (await health()).workers === 2,
  );
});

test('the metrics on the ops port are the sum over all workers, exited ones included', async () => {
  const count = async () => {
    const text = await (await fetch(`http://127.0.0.1:${env['OPS_PORT']}/metrics`)).text();
    const lines = text
      .split('\n')
      .filter(
        (line) => line.startsWith('http_request_duration_seconds_count') && line.includes('/livez'),
      );
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };
  const before = await count();
  await Promise.all(
    Array.from({ length: 100 }, () => fetch(`${url}/livez`, { headers: { connection: 'close' } })),
  );
  expect(await count()).toBe(before + 100);
  await pm2('reload', 'api');
  expect(await count()).toBe(before + 100);
});

/** The values on the ops port, by series. */
async function metrics(): Promise<Map<string, number>> {
  const text = await (
    await fetch(`http://127.0.0.1:${env['OPS_PORT']}/metrics`, { headers: { connection: 'close' } })
  ).text();
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [
        line.slice(0, line.lastIndexOf(' ')),
        Number(line.slice(line.lastIndexOf(' '))),
      ]),
  );
}

/** PM2 restarts workers, and the kernel gives them their connections (docs/operate.md). */
const OF_OUR_PRIMARY = ['cluster_connections_refused_total', 'cluster_worker_deaths_total'];

test('every metric that the alerts use exists, but those of our own primary; counters begin at 0', async () => {
  const seen = await until('two ready workers', async () => {
    const now = await metrics();
    return now.get('cluster_workers_ready') === 2 && now;
  });
  expect(seen.get('cluster_workers_wanted')).toBe(2);
  expect(seen.get('auth_events_total{type="refresh_token_reused",result="failure"}')).toBe(0);
  expect(seen.get('http_requests_shed_total{reason="loop"}')).toBe(0);
  for (const name of [
    'process_cpu_seconds_total',
    'nodejs_eventloop_lag_p99_seconds',
    'nodejs_heap_size_used_bytes',
    'cluster_worker_loop_delay_p99_seconds_max',
    'cluster_worker_heap_bytes_max',
  ]) {
    expect([name, seen.get(name)]).toEqual([name, expect.any(Number)]);
  }
  const series = [...seen.keys()].join('\n');
  const names = new Set([...seen.keys()].map((one) => one.replace(/\{.*/, '')));
  const rules = readFileSync(path.join(root, 'deploy/prometheus/rules.yaml'), 'utf8');
  const used = new Set(rules.match(/\bcluster_[a-z0-9_]+/g));
  expect([...used].filter((name) => !names.has(name)).sort()).toEqual(OF_OUR_PRIMARY);
  expect(series).toMatch(/^service_build_info\{version="\d+\.\d+\.\d+",node="v\d+[^"]*"\}$/m);
  expect(series).toMatch(/^mongodb_command_duration_seconds_count\{command="\w+",result="ok"\}$/m);
  expect(series).toContain('mongodb_pool_connections{state="in_use"}');
});

test('no counter falls when a worker is killed, whichever worker answers the scrape', async () => {
  const counters = async () =>
    [...(await metrics())].filter(([name]) => /(_total|_count|_sum|_bucket)(\{|$)/.test(name));
  await Promise.all(
    Array.from({ length: 50 }, () => fetch(`${url}/livez`, { headers: { connection: 'close' } })),
  );
  for (let i = 0; i < 4; i += 1) await metrics();
  const highest = new Map(await counters());
  const pids = await workers();
  const victim = victimOf(pids);
  process.kill(victim, 'SIGKILL');
  await until(
    'two workers',
    async () =>
      (await workers()).filter((pid) => pid !== victim).length === 2 &&
      (await health()).workers === 2,
  );
  for (let i = 0; i < 10; i += 1) {
    const now = new Map(await counters());
    const fallen = [...highest].filter(([name, value]) => (now.get(name) ?? 0) < value);
    expect(fallen).toEqual([]);
    for (const [name, value] of now) highest.set(name, value);
  }
});

test('a reload of the ecosystem file does not restart the database: no read fails', async () => {
  const databasePid = async () => (await list()).find(({ name }) => name === 'api-database')?.pid;
  const [before, pidsBefore] = [await databasePid(), await workers()];
  const { access_token: token } = await register(createClient(url, { unchecked: true }));
  const request = () => ({
    method: 'GET',
    path: '/api/auth/profile',
    headers: { authorization: `Bearer ${token}` },
  });
  const load = startLoad({ targets: [url], ratePerSecond: 50, connections: 10, request });
  await pm2('reload', 'ecosystem.config.js');
  const summary = summarise(await load.stop());
  expect(summary.outcomes).toEqual({ 200: summary.planned });
  expect(await databasePid()).toBe(before);
  expect((await workers()).filter((pid) => pidsBefore.includes(pid))).toHaveLength(0);
});

test('`npm run cluster -- status` says that PM2 is the primary', () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [path.join(root, 'dist/cli/cluster.js'), 'status'],
    {
      cwd: dir,
      env,
      encoding: 'utf8',
    },
  );
  expect(status).toBe(69);
  expect(stderr).toContain('workers run here under PM2, without a primary of this service.');
  expect(stderr).toContain('pm2 reload');
});

/** The apps that the ecosystem file gives PM2 for the command line `words`. */
function appsOf(words: readonly string[], environment: Record<string, string> = {}) {
  const script = `process.argv.splice(1, Infinity, 'pm2', ...${JSON.stringify(words)});
    console.log(JSON.stringify(require(${JSON.stringify(path.join(root, 'ecosystem.config.js'))}).apps))`;
  const { PATH = '' } = process.env;
  const run = spawnSync(process.execPath, ['-e', script], {
    cwd: dir,
    env: { PATH, ...environment },
    encoding: 'utf8',
  });
  return JSON.parse(run.stdout) as {
    name: string;
    instances: number;
    stop_exit_codes: number[];
    env: { CLUSTER_SETTINGS: string };
  }[];
}

test.each([
  [['start', 'ecosystem.config.js'], {}, ['api-database', 'api']],
  [['start', 'ecosystem.config.js'], { MONGODB_URI: 'mongodb://db/x' }, ['api']],
  [['start', 'ecosystem.config.js'], { MONGODB_URI_FILE: '/run/secrets/mongodb_uri' }, ['api']],
  [['start', 'ecosystem.config.js', '--env', 'production'], {}, ['api']],
  [['start', 'ecosystem.config.js'], { NODE_ENV: 'production' }, ['api']],
  [['reload', 'ecosystem.config.js'], {}, ['api']],
])('pm2 %j with %j runs %j', (words, environment, names) => {
  const apps = appsOf(words, environment);
  expect(apps.map(({ name }) => name)).toEqual(names);
  for (const { stop_exit_codes: codes } of apps) expect(codes).toEqual([65, 78]);
});

test('--env production and settings of the shell reach the workers, which refuse an invalid WORKERS', () => {
  const [api] = appsOf(['start', 'ecosystem.config.js', '--env', 'production'], {
    WORKERS: 'two',
    JWT_SECRET_FILE: '/run/secrets/jwt',
  });
  expect(api?.instances).toBe(1);
  expect(JSON.parse(api?.env.CLUSTER_SETTINGS ?? '')).toEqual({
    NODE_ENV: 'production',
    WORKERS: 'two',
    JWT_SECRET_FILE: '/run/secrets/jwt',
  });
});

test('an invalid setting stops the workers without restart: exit code 78', async () => {
  const broken = {
    ...env,
    PM2_APP_NAME: 'broken',
    MONGODB_URI: 'mongodb://127.0.0.1/x',
    WORKERS: 'two',
    BCRYPT_COST: 'much',
  };
  await pm2In(broken, 'start', 'ecosystem.config.js').catch(() => '');
  const look = async () =>
    (await list())
      .filter(({ name }) => name === 'broken')
      .map(({ pid, pm2_env }) => [pid, pm2_env.exit_code, pm2_env.restart_time]);
  try {
    const ended = [[0, 78, 0]];
    await until('its end', async () => JSON.stringify(await look()) === JSON.stringify(ended));
    // PM2 would have restarted it after 100 ms.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(await look()).toEqual(ended);
  } finally {
    await pm2('delete', 'broken');
  }
});

test('stop drains every worker', async () => {
  const pids = await workers();
  await pm2('stop', 'api');
  expect(pids.some(isRunning)).toBe(false);
  await expect(fetch(url)).rejects.toThrow();
  // The tests run in any order.
  await pm2('restart', 'api');
});
