import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Running, run } from '../support/processes';
import { freePort, isRunning, root, until } from '../support/service';

/**
 * The service under `npm start` when it is already built (as in the image): in its own folder,
 * without a build step.
 */
let dir: string;
let running: Running | undefined;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'npm-start-'));
  cpSync(path.join(root, 'package.json'), path.join(dir, 'package.json'));
  // The service, and the database of development that it starts without MONGODB_URI.
  for (const part of ['main.js', 'chunks', 'threads', 'embedded-mongo'])
    cpSync(path.join(root, 'dist', part), path.join(dir, 'dist', part), { recursive: true });
  cpSync(path.join(root, 'templates'), path.join(dir, 'templates'), { recursive: true });
  symlinkSync(path.join(root, 'node_modules'), path.join(dir, 'node_modules'));
});
afterEach(async () => {
  await running?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/**
 * Runs `npm start` in its own process group; `pids` are the service's processes without npm.
 */
async function npmStart(): Promise<{
  npm: Running;
  pids: () => number[];
  ready: () => Promise<boolean>;
}> {
  const port = await freePort();
  const { PATH = '', HOME = '' } = process.env;
  const env = {
    PATH,
    HOME,
    PORT: String(port),
    HOST: '127.0.0.1',
    OPS_PORT: '0',
    WORKERS: '1',
    BCRYPT_COST: '4',
    DRAIN_IDLE_MS: '100',
    RUNTIME_DIR: path.join(dir, 'run'),
  };
  const npm = run(['npm', 'start'], { cwd: dir, env });
  running = npm;
  const ready = async () =>
    (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.status === 200;
  await until(`readiness:\n${npm.output()}`, ready, 60_000);
  const pids = () =>
    [...npm.output().matchAll(/"(?:pid|workerPid|databasePid)":(\d+)/g)].map(([, pid]) =>
      Number(pid),
    );
  return { npm, pids, ready };
}

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  '%s to `npm start` drains and stops the whole service: no process is left',
  async (signal) => {
    const { npm, pids, ready } = await npmStart();
    const started = new Set(pids());
    expect(started.size).toBeGreaterThanOrEqual(2);
    process.kill(npm.pid, signal);
    await until('every process to end', () => ![...started, ...pids()].some(isRunning), 20_000);
    expect(await ready()).toBe(false);
    await until('the log', () => /"msg":"shutdown complete"/.test(npm.output()));
    expect(npm.output()).toMatch(/"clean":true,"msg":"shutdown complete"/);
    if (signal === 'SIGTERM' || signal === 'SIGINT')
      expect(await npm.exited).toEqual({ code: 0, signal: null });
  },
  90_000,
);

test('Ctrl-C reaches npm and the service, and counts as one signal', async () => {
  const { npm, pids } = await npmStart();
  const started = pids();
  process.kill(-npm.pid, 'SIGINT');
  await until('every process to end', () => !started.some(isRunning), 20_000);
  expect(await npm.exited).toEqual({ code: 0, signal: null });
  expect(npm.output()).toMatch(/"clean":true,"msg":"shutdown complete"/);
  expect(npm.output()).not.toMatch(/again, exiting at once/);
});

/** What `npm ci --omit=dev` would install, by the lock file. */
function productionPackages(): string[] {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; link?: boolean }>;
  };
  return Object.entries(packages).flatMap(([place, { dev = false, link = false }]) => {
    const [, name] = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(place) ?? [];
    return name === undefined || dev || link ? [] : [name];
  });
}

test('a production install builds the service, and starts the build', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'production-'));
  try {
    for (const name of ['src', 'scripts', 'packages', 'package.json', 'tsconfig.json'])
      cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
    for (const name of productionPackages()) {
      const from = path.join(root, 'node_modules', name);
      // Of the optional ones, those of other platforms are not there.
      if (!existsSync(from)) continue;
      const to = path.join(folder, 'node_modules', name);
      mkdirSync(path.dirname(to), { recursive: true });
      symlinkSync(from, to);
    }
    const env = { PATH: process.env['PATH'], NODE_ENV: 'production' };
    const runHere = (...args: string[]) => {
      const options = { cwd: folder, env, encoding: 'utf8', timeout: 60_000 } as const;
      const { status, stderr } = spawnSync(process.execPath, args, options);
      return { status, stderr };
    };
    expect(runHere('scripts/bundle.mjs')).toEqual({ status: 0, stderr: '' });
    // 78: it has read its settings, and says what is wrong with them.
    for (const command of ['main', 'cli/admin list', 'cli/keys list', 'cli/migrate status']) {
      const [program, ...words] = command.split(' ');
      expect([command, runHere(`dist/${program}.js`, ...words)]).toMatchObject([
        command,
        { status: 78, stderr: expect.stringContaining('MONGODB_URI') },
      ]);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 180_000);

test('no shell stands between npm and the service, which would not forward signals', () => {
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const name of ['start', 'admin', 'keys', 'explain', 'cluster', 'settings'])
    expect(scripts[name]).toMatch(/(^|&& )exec node \S+$/);
});
