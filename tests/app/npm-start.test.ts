import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
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

test('a production install contains everything that its scripts need', () => {
  const { scripts, devDependencies } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  ) as {
    scripts: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  // The compiler is an optional dependency: `npm ci --omit=dev` installs it, the image removes it.
  const programs = Object.keys(devDependencies).map((name) => name.replace(/^@[^/]*\//, ''));
  for (const name of [
    'build',
    'prestart',
    'start',
    'admin',
    'keys',
    'explain',
    'cluster',
    'settings',
  ]) {
    const words = (scripts[name] ?? '').split(/&&|\|\|/).map(
      (command) =>
        command
          .trim()
          .replace(/^exec /, '')
          .split(' ')[0] ?? '',
    );
    expect(
      words.filter((word) =>
        word === 'tsc'
          ? 'typescript' in devDependencies
          : programs.includes(word) && word !== 'node',
      ),
    ).toEqual([]);
  }
  // A shell between npm and the service would not forward npm's signals.
  for (const name of ['start', 'admin', 'keys', 'explain', 'cluster', 'settings'])
    expect(scripts[name]).toMatch(/(^|&& )exec node \S+$/);
});
