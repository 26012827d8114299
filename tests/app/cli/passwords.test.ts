import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseConfig } from '../../../src/kernel/config/config';
import { root } from '../../support/service';

const LEAKED = 'leaked horse battery';
const digestOf = (text: string) => createHash('sha1').update(text).digest('hex').toUpperCase();

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'passwords-cli-'));
  const lines = [LEAKED, 'another', 'a third'].map((text) => `${digestOf(text)}:7`);
  writeFileSync(path.join(dir, 'hashes.txt'), lines.join('\n'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function passwords(
  args: readonly string[],
  { input = '', settings = {} }: { input?: string; settings?: Record<string, string> } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { PATH = '', HOME = '' } = process.env;
  const file = path.join(root, 'dist/cli/passwords.js');
  const child = spawn(process.execPath, [file, ...args], {
    cwd: dir,
    env: { PATH, HOME, NODE_ENV: 'test', ...settings },
  });
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

test('a list is built, verified and asked', async () => {
  const built = await passwords(['build-list', 'hashes.txt', '--out', 'list']);
  expect(built).toMatchObject({ code: 0 });
  expect(built.stdout).toMatch(/^list: 3 entries of 6 bytes, of 3 hashes in 1 files\. .*1\.1e-14/);
  expect(built.stderr).toContain('reading');
  expect(built.stderr).toContain('(100 %)');

  const settings = { COMPROMISED_PASSWORDS_FILE: 'list' };
  const leaked = await passwords(['check'], { input: `${LEAKED}\n`, settings });
  expect(leaked).toEqual({ code: 1, stdout: 'The password is in the list.\n', stderr: '' });
  const sound = await passwords(['check', '--list', 'list'], { input: 'a sound one\n' });
  expect(sound).toEqual({ code: 0, stdout: 'The password is not in the list.\n', stderr: '' });
  expect(await passwords(['verify-list'], { settings })).toMatchObject({ code: 0 });

  const bytes = readFileSync(path.join(dir, 'list'));
  bytes[40] = (bytes[40] ?? 0) ^ 1;
  writeFileSync(path.join(dir, 'damaged'), bytes);
  const damaged = await passwords(['verify-list', 'damaged']);
  expect([damaged.code, damaged.stderr]).toEqual([64, expect.stringContaining('is damaged')]);
});

test.each([
  [['build-list'], 'Name a file or a folder'],
  [['build-list', 'hashes.txt'], '--out FILE'],
  [['build-list', 'nowhere', '--out', 'x'], 'nowhere cannot be read'],
  [['build-list', 'hashes.txt', '--out', 'x', '--prefix-bytes', '7'], 'from 4 to 6'],
  [['check', 'a password'], 'standard input'],
  [['check', '--list', 'hashes.txt'], 'is not a list made by'],
  [['check'], 'COMPROMISED_PASSWORDS_FILE is not set'],
  [['tune', '--target-ms', 'fast'], '--target-ms must be a whole number'],
  [['crack'], 'Unknown command'],
])('%j is refused', async (args, message) => {
  const { code, stderr } = await passwords(args);
  expect([code, stderr]).toEqual([64, expect.stringContaining(message)]);
});

test('tune measures both kinds and prints settings that the service takes', async () => {
  const { code, stdout, stderr } = await passwords(['tune', '--target-ms', '60'], {
    settings: { HASH_CONCURRENCY: '2', WORKERS: '2' },
  });
  expect(code).toBe(0);
  expect(stderr.match(/measuring/g)?.length).toBeGreaterThan(3);
  expect(stdout).toMatch(/ {2}hash +alone +a worker +this host +full queue +memory at most\n/);
  expect(stdout).toMatch(/\n\* bcrypt +cost 1\d +\d+ ms +[\d.]+\/s +[\d.]+\/s +[\d.]+ s +–\n/);
  expect(stdout).toMatch(/\n\* argon2id +[\d.]+ MiB, \d+ passes, parallelism 1 +\d+ ms .* MiB\n/);
  const [, bcrypt, argon2id] = /either\n\n(.*)\nor\n\n(.*)$/s.exec(stdout) ?? [];
  for (const lines of [bcrypt, argon2id]) {
    const pairs = (lines ?? '').split('\n').filter((line) => /^[A-Z]/.test(line));
    const environment = Object.fromEntries(pairs.map((line) => line.split('=')));
    const config = parseConfig({
      ...{ NODE_ENV: 'production', MONGODB_URI: 'mongodb://db1', PUBLIC_URL: 'https://a.example' },
      KEY_ENCRYPTION_SECRET: 'hT5-wK8.qL2_zN9+xC4/vB7=mJ1~pD6!',
      ...environment,
    });
    expect(config.auth.passwordHash).toBe(environment['PASSWORD_HASH']);
  }
}, 120_000);
