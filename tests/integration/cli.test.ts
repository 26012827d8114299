import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createClient, login } from '../support/http';
import { root, startService } from '../support/service';

const built = (...names: string[]) => path.join(root, 'dist', 'src', ...names);
let dir: string;
let settings: Record<string, string>;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'cli-'));
  settings = { DATA_DIR: path.join(dir, 'data'), BCRYPT_COST: '4', NODE_ENV: 'test' };
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function command(name: string, args: readonly string[], input = ''): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [built('cli', `${name}.js`), ...args], { cwd: dir, env: { PATH, HOME, ...settings } });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => {
    output.stdout += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    output.stderr += data.toString();
  });
  child.stdin.end(input);
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, ...output })));
}

test('administrators are created before the service runs and while it runs; both can sign in', async () => {
  const before = await command('admin', ['create', '--email', 'before@example.org', '--password-stdin'], 'a password of my own\n');
  expect([before.code, before.stderr]).toEqual([0, '']);
  const service = await startService({ entry: built('index.js'), env: settings, timeoutMs: 60_000 });
  try {
    const during = await command('admin', ['create', '--email', 'during@example.org', '--generate']);
    expect([during.code, during.stderr]).toEqual([0, '']);
    const generated = /Password, shown only now: (\S+)/.exec(during.stdout)?.[1] ?? '';
    const client = createClient(service.url);
    for (const [email, password] of [
      ['before@example.org', 'a password of my own'],
      ['during@example.org', generated],
    ] as const) {
      const token = await login(client, email, password);
      expect((await client('GET', '/api/users?role=admin', { token })).status).toBe(200);
    }
    const again = await command('admin', ['create', '--email', 'DURING@example.org', '--generate']);
    expect([again.code, again.stderr]).toEqual([64, expect.stringContaining('exists already')]);

    const explained = await command('explain', []);
    expect([explained.code, explained.stderr]).toEqual([0, '']);
    expect(explained.stdout).toMatch(/^\d+ users\n/);
    expect(explained.stdout).not.toMatch(/^BAD/m);
    const keys = await command('keys', ['list']);
    expect([keys.code, keys.stdout]).toEqual([0, expect.stringContaining('ES256')]);
  } finally {
    await service.close();
  }
  expect((await command('explain', [])).code).toBe(0);
}, 120_000);

test('what is wrong with a command is said, with exit code 64', async () => {
  for (const args of [[], ['create'], ['create', '--email', 'nonsense', '--generate'], ['remove', '--email', 'a@example.org']]) {
    const { code, stderr } = await command('admin', args);
    expect([code, stderr]).toEqual([64, expect.stringContaining('Usage')]);
  }
  const weak = await command('admin', ['create', '--email', 'a@example.org', '--password-stdin'], 'short\n');
  expect([weak.code, weak.stderr]).toEqual([64, expect.stringContaining('at least 8 characters')]);
});
