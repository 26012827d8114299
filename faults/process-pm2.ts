import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startTestMongo } from '../tests/support/mongo';
import { freePort, isRunning, root, until } from '../tests/support/service';
import { mixOf, startLoad } from './load';
import { createMix, naiveEntry, pause, QUIET, shown } from './process-kit';
import type { Scenario } from './scenario';
import { summarise } from './summary';

/** PM2's commands can wait for ever for a process that never becomes ready. */
const PM2_TIMEOUT_MS = 120_000;

/** The real pm2 with its own PM2_HOME. */
async function withPm2<T>(
  env: Record<string, string>,
  use: (pm2: (...args: string[]) => Promise<string>) => Promise<T>,
): Promise<T> {
  const home = mkdtempSync(path.join(tmpdir(), 'faults-pm2-'));
  const { PATH = '' } = process.env;
  const pm2 = (...args: string[]) =>
    new Promise<string>((resolve, reject) => {
      const options = {
        cwd: root,
        env: { PATH, HOME: home, PM2_HOME: home, ...env },
        stdio: ['ignore', 'pipe', 'inherit'] as ['ignore', 'pipe', 'inherit'],
      };
      const child = spawn(
        process.execPath,
        [path.join(root, 'node_modules/pm2/bin/pm2'), ...args],
        options,
      );
      let output = '';
      child.stdout.on('data', (part: Buffer) => {
        output += part.toString();
      });
      const timer = setTimeout(() => child.kill('SIGKILL'), PM2_TIMEOUT_MS);
      child.once('close', () => clearTimeout(timer));
      child.once('exit', (code) =>
        code === 0
          ? resolve(output)
          : reject(new Error(`pm2 ${args.join(' ')} ended with ${code}\n${output}`)),
      );
    });
  try {
    return await use(pm2);
  } finally {
    const output = await pm2('jlist');
    const pids = (JSON.parse(output.slice(output.indexOf('['))) as { pid: number }[]).map(
      ({ pid }) => pid,
    );
    await pm2('kill');
    await until('the processes to end', () => !pids.some(isRunning));
    rmSync(home, { recursive: true, force: true });
  }
}

const pm2Reloads: Scenario = {
  name: 'pm2-reloads',
  title: '20 × `pm2 reload` under 50 kept-alive connections, no balancer, each request sent once',
  goal: '0 failed, 0 lost',
  planted: 'a plain app under the same ecosystem file',
  run: async ({ quick, planted }) => {
    const turns = quick ? 2 : planted ? 5 : 20;
    const mongo = await startTestMongo();
    const port = await freePort();
    const run = mkdtempSync(path.join(tmpdir(), 'faults-run-'));
    const env = {
      ...QUIET,
      MONGODB_URI: mongo.uri,
      PORT: String(port),
      HOST: '127.0.0.1',
      OPS_PORT: '0',
      WORKERS: '4',
      RUNTIME_DIR: path.join(run, 'sockets'),
      ACCESS_LOG: 'false',
    };
    try {
      return await withPm2(env, async (pm2) => {
        const ecosystem = path.join(run, 'ecosystem.config.js');
        const script = planted ? `apps[0].script = ${JSON.stringify(naiveEntry)};` : '';
        writeFileSync(
          ecosystem,
          `const { apps } = require(${JSON.stringify(path.join(root, 'ecosystem.config.js'))}); ${script} module.exports = { apps };`,
        );
        await pm2('start', ecosystem);
        const url = `http://127.0.0.1:${port}`;
        const request = planted
          ? () => ({ method: 'GET', path: '/' })
          : mixOf(await createMix(url));
        const load = startLoad({ targets: [url], ratePerSecond: 150, connections: 50, request });
        for (let turn = 0; turn < turns; turn++) {
          await pause(300);
          await pm2('reload', 'api');
        }
        await pause(500);
        const summary = summarise(await load.stop());
        return { met: summary.failed === 0, figures: { reloads: turns, ...shown(summary) } };
      });
    } finally {
      await mongo.close();
      rmSync(run, { recursive: true, force: true });
    }
  },
};

export const pm2: readonly Scenario[] = [pm2Reloads];
