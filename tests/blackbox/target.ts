import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { root, startService } from '../support/service';

/** The service under test, known by its address and one administrator. */
export interface Target {
  readonly baseUrl: string;
  readonly admin: { readonly email: string; readonly password: string };
  close(): Promise<void>;
}

const built = (...names: string[]) => path.join(root, 'dist', ...names);

/**
 * The service at BASE_URL, with ADMIN_EMAIL and ADMIN_PASSWORD; without it the built service,
 * started as an operator would.
 */
export async function openTarget(): Promise<Target> {
  const { BASE_URL, ADMIN_EMAIL = '', ADMIN_PASSWORD = '' } = process.env;
  if (BASE_URL !== undefined && BASE_URL !== '') {
    if (ADMIN_EMAIL === '' || ADMIN_PASSWORD === '')
      throw new Error('BASE_URL needs ADMIN_EMAIL and ADMIN_PASSWORD');
    return {
      baseUrl: BASE_URL.replace(/\/+$/, ''),
      admin: { email: ADMIN_EMAIL, password: ADMIN_PASSWORD },
      close: async () => undefined,
    };
  }
  return startOwn();
}

async function startOwn(): Promise<Target> {
  const dir = mkdtempSync(path.join(tmpdir(), 'blackbox-'));
  const settings = { DATA_DIR: path.join(dir, 'data'), BCRYPT_COST: '4', NODE_ENV: 'test' };
  const service = await startService({ entry: built('main.js'), env: settings, timeoutMs: 60_000 });
  const close = async () => {
    await service.close();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const email = 'operator@example.org';
    const { PATH = '', HOME = '' } = process.env;
    // While the service runs, as one would on a server.
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [built('cli', 'admin.js'), 'create', '--email', email, '--generate'],
      {
        cwd: dir,
        env: { PATH, HOME, ...settings },
        timeout: 20_000,
      },
    );
    const password = /Password, shown only now: (\S+)/.exec(stdout)?.[1];
    if (password === undefined) throw new Error(`no password in: ${stdout}`);
    return { baseUrl: service.url, admin: { email, password }, close };
  } catch (error) {
    await close();
    throw error;
  }
}
