import { execFile } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Config } from '../../kernel/config/config';
import { type Report, record, skip } from './finding';

const TIMEOUT_MS = 10_000;
/** PM2's own, where the file names none. */
const PM2_KILL_TIMEOUT_MS = 1600;
/** The file is loaded by --require; this prints what it exports. */
const PRINT =
  'const { apps } = require.cache[process.argv[1]].exports;' +
  'console.log(JSON.stringify(apps.map(a => [a.name, a.script, a.kill_timeout, a.wait_ready])))';

type App = readonly [name: string, script: string, killTimeoutMs?: number, waitReady?: boolean];

/** Reads an ecosystem file as PM2 does, in a process of its own. */
async function appsOf(file: string): Promise<App[]> {
  const path = realpathSync(file);
  const args = ['--require', path, '--eval', PRINT, path];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: TIMEOUT_MS });
  return JSON.parse(stdout) as App[];
}

export async function checkPm2(report: Report, file: string, { server }: Config): Promise<void> {
  let apps: App[];
  try {
    apps = await appsOf(file);
  } catch (error) {
    // The first line is the whole command.
    const [first, ...lines] = String(error).split('\n');
    const reason = lines.find((line) => /^\w*Error\b/.test(line)) ?? first;
    return skip(report, 'pm2-kill-timeout', `${file} cannot be read: ${reason}`);
  }
  const workers = apps.filter(
    ([, script]) => /(^|\/)main\.js$/.test(script) && !script.includes('embedded'),
  );
  if (workers.length === 0)
    return skip(report, 'pm2-kill-timeout', `${file} has no app that runs main.js`);
  const needsMs = server.shutdownDelayMs + server.shutdownDeadlineMs;
  for (const [name, , killTimeoutMs = PM2_KILL_TIMEOUT_MS, waitReady] of workers) {
    record(
      report,
      'pm2-kill-timeout',
      killTimeoutMs <= needsMs && {
        severity: 'fault',
        seen: `kill_timeout of ${name} is ${killTimeoutMs} ms, a shutdown may take ${needsMs}`,
        means: 'PM2 kills a worker while it finishes requests: a reload loses some.',
        fix: `kill_timeout above SHUTDOWN_DELAY_MS + SHUTDOWN_DEADLINE_MS: ${needsMs + 2000}.`,
      },
    );
    record(
      report,
      'pm2-wait-ready',
      waitReady !== true && {
        severity: 'fault',
        seen: `${name} has no wait_ready`,
        means: 'A reload stops the old worker before the new one can serve.',
        fix: 'wait_ready: true, with a listen_timeout above WORKER_READY_TIMEOUT_MS.',
      },
    );
  }
}
