import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { workerFlags } from '../../src/runtime/primary/worker-flags';

const ROOT = resolve(__dirname, '../../..');
interface App {
  readonly script: string;
  readonly node_args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly instances: number;
  readonly kill_timeout: number;
  readonly listen_timeout: number;
  readonly max_memory_restart: string;
  readonly stop_exit_codes: readonly number[];
}

function appsWith(settings: Record<string, string>): App[] {
  const { PATH = '', HOME = '' } = process.env;
  const program = `process.stdout.write(JSON.stringify(require(${JSON.stringify(join(ROOT, 'ecosystem.config.js'))}).apps))`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program], {
    encoding: 'utf8',
    env: { PATH, HOME, MONGODB_URI: 'mongodb://db/x', ...settings },
  });
  expect([status, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as App[];
}

test.each(['two', '-1', '1e3', 'NaN', ' '])(
  'PM2 gets valid numbers when settings are invalid (%j): the worker reports the fault and is not restarted',
  (wrong) => {
    const names = [
      'WORKERS',
      'WORKER_HEAP_LIMIT_MB',
      'WORKER_READY_TIMEOUT_MS',
      'SHUTDOWN_DELAY_MS',
      'SHUTDOWN_DEADLINE_MS',
    ];
    for (const app of appsWith(Object.fromEntries(names.map((name) => [name, wrong])))) {
      for (const number of [app.kill_timeout, app.listen_timeout])
        expect(number).toBeGreaterThan(0);
      if ('instances' in app) expect(app.instances).toBe(1);
      expect(app.max_memory_restart).toMatch(/^\d+M$/);
      expect(app.stop_exit_codes).toEqual([65, 78]);
    }
  },
);

test('the apps get the settings of the shell, and nothing else of it', () => {
  const settings = { WORKERS: '3', JWT_SECRET_FILE: '/run/secrets/jwt', OTHER: 'x' };
  const [api] = appsWith(settings);
  expect(JSON.parse(api?.env['CLUSTER_SETTINGS'] ?? '')).toEqual({
    MONGODB_URI: 'mongodb://db/x',
    WORKERS: '3',
    JWT_SECRET_FILE: '/run/secrets/jwt',
  });
  expect(api).toMatchObject({ instances: 3, node_args: workerFlags({ heapLimitMb: 512 }) });
  expect(api?.env['CLUSTER_WORKERS_WANTED']).toBe('3');
});

test('`npm run build` alone compiles every script that it names', () => {
  const folder = mkdtempSync(join(tmpdir(), 'build-'));
  try {
    const { stdout, status } = spawnSync('npm', ['run', '--silent', 'build', '--', folder], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect([stdout, status]).toEqual(['', 0]);
    const scripts = appsWith({ MONGODB_URI: '' }).map(({ script }) => script);
    expect(scripts).toEqual(['dist/embedded-mongo/main.js', 'dist/main.js']);
    for (const script of scripts)
      expect(existsSync(join(folder, script.replace('dist/', '')))).toBe(true);
    expect(existsSync(join(folder, 'pm2.js'))).toBe(true);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('WORKERS=auto is a number of workers', () => {
  expect(appsWith({})[0]?.instances).toBeGreaterThan(0);
});

test('without a build it says so', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ecosystem-'));
  try {
    cpSync(join(ROOT, 'ecosystem.config.js'), join(folder, 'ecosystem.config.js'));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    const { stderr, status } = spawnSync(process.execPath, [join(folder, 'ecosystem.config.js')], {
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(stderr).toContain('The service is not built: run "npm run build" first');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
