import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, type ServiceProcess, startService } from './service';

const entry = join(root, 'dist', 'main.js');
const settings = {
  ...{ RATE_LIMIT: 'false', BCRYPT_COST: '4', NODE_ENV: 'test' },
  JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ',
};

/** Runs the command, as `npm run chaos` does. */
export function startChaos(...args: string[]) {
  const child = spawn(process.execPath, [join(root, 'dist/faults/chaos/main.js'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  const ended = new Promise<{ code: number | null; text: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, text }));
  });
  return { ended, text: () => text, signal: (name: NodeJS.Signals) => void child.kill(name) };
}

/** A staging: the service itself, with a database that the settings name. */
export async function withStaging(
  env: Readonly<Record<string, string>>,
  use: (service: ServiceProcess) => Promise<void>,
  program = entry,
): Promise<void> {
  const service = await startService({
    entry: program,
    env: { ...settings, ...env },
    timeoutMs: 60_000,
  });
  try {
    await use(service);
  } finally {
    await service.close();
  }
}
