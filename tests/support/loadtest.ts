import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { root } from './service';

const MAIN = join(root, 'dist/dev/loadtest/main.js');

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly progress: string;
}

/** Runs the command in `folder` with this environment alone. */
export function startLoadtest(
  folder: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
) {
  const { PATH, HOME } = process.env;
  const given = { PATH, HOME, ...env };
  const child: ChildProcess = spawn(process.execPath, [MAIN, ...argv], { cwd: folder, env: given });
  const text = { out: '', progress: '' };
  child.stdout?.setEncoding('utf8').on('data', (more: string) => {
    text.out += more;
  });
  child.stderr?.setEncoding('utf8').on('data', (more: string) => {
    text.progress += more;
  });
  const ended: Promise<Ended> = once(child, 'close').then(([code]) => ({ code, ...text }));
  return { child, ended, text };
}
