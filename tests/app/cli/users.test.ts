import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { startTestService, type TestService } from '../../support/app';
import { type Client, createClient, eventually, login } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { root } from '../../support/service';

let dir: string;
let mongo: TestMongo;
let service: TestService;
let client: Client;

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'cli-users-'));
  mongo = await startTestMongo();
  service = await startTestService({}, mongo);
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await service?.close();
  await mongo?.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function users(...args: readonly string[]): Promise<Ended> {
  const { PATH = '', HOME = '' } = process.env;
  const JWT_SECRET = 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ';
  const env = {
    PATH,
    HOME,
    NODE_ENV: 'test',
    MONGODB_URI: mongo.uri,
    BCRYPT_COST: '4',
    JWT_SECRET,
  };
  const command = [path.join(root, 'dist/cli/users.js'), ...args];
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      command,
      { cwd: dir, env, timeout: 60_000 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
  });
}
const at = (name: string) => path.join(dir, name);
const line = (n: number, more: object = {}) =>
  JSON.stringify({
    email: `file${n}@example.org`,
    name: `File ${n}`,
    password: 'a long password',
    ...more,
  });

test('import takes a gzip file, and its report can be put right and imported again', async () => {
  const lines = [line(1), line(2), '{"email":', line(3, { password: 'short' }), line(1)];
  writeFileSync(at('new.ndjson.gz'), gzipSync(`${lines.join('\n')}\n`));
  const first = await users('import', 'new.ndjson.gz');
  expect(first.code).toBe(1);
  expect(first.stdout).toMatch(
    /^Import done: 2 created, 0 updated, 0 unchanged, 0 skipped, 3 refused \(.+\)\.\n/,
  );
  const report = readFileSync(at('new.ndjson.gz.report.ndjson'), 'utf8').trim().split('\n');
  expect(report.map((text) => JSON.parse(text).line)).toEqual([3, 4, 5]);
  expect(statSync(at('new.ndjson.gz.report.ndjson')).mode & 0o077).toBe(0);
  await login(client, 'file1@example.org', 'a long password');

  const { record } = JSON.parse(report[1] as string);
  writeFileSync(at('again.ndjson'), `${JSON.stringify({ ...record, password: 'a longer one' })}\n`);
  const second = await users('import', 'again.ndjson', '--conflict', 'update');
  expect([second.code, second.stdout]).toEqual([0, expect.stringContaining('1 created')]);
  await login(client, 'file3@example.org', 'a longer one');
});

test('a dry run prints the counts of an import, and does nothing', async () => {
  writeFileSync(at('dry.csv'), 'email,name\ndry@example.org,Dry\n');
  const { code, stdout } = await users('import', 'dry.csv', '--dry-run');
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^Dry run done: 1 created/)]);
  const found = { emailKey: 'dry@example.org' };
  expect(await service.database.connection.collection('users').countDocuments(found)).toBe(0);
});

test('export writes a file that an import finds unchanged, and no file twice', async () => {
  const { code, stderr } = await users('export', 'all.ndjson');
  expect([code, stderr]).toEqual([0, expect.stringMatching(/^Users exported \(/)]);
  const text = readFileSync(at('all.ndjson'), 'utf8');
  expect(text.trim().split('\n').length).toBe(
    await service.database.connection.collection('users').countDocuments(),
  );
  expect(text).toMatch(/"password_hash":"\$2b\$04\$/);
  expect(statSync(at('all.ndjson')).mode & 0o077).toBe(0);
  expect((await users('export', 'all.ndjson')).code).not.toBe(0);
  expect(readFileSync(at('all.ndjson'), 'utf8')).toBe(text);
  const again = await users('import', 'all.ndjson', '--conflict', 'update');
  // No import changes an administrator.
  expect(again.stdout).toMatch(
    /^Import done: 0 created, 0 updated, \d+ unchanged, 0 skipped, 1 refused/,
  );
  expect(readFileSync(at('all.ndjson.report.ndjson'), 'utf8')).toContain('"user_protected"');
  const printed = await users('export', '-', '--format', 'csv');
  expect(printed.stdout.split('\n')[0]).toContain('email');
});

test('a name that ends with .gz is gzip, of an export as of an import', async () => {
  expect((await users('export', 'packed.csv.gz')).code).toBe(0);
  expect(gunzipSync(readFileSync(at('packed.csv.gz'))).toString()).toMatch(/^name,email,/);
  const again = await users('import', 'packed.csv.gz', '--dry-run');
  expect(again.stdout).toMatch(/^Dry run done: 0 created/);
});

test('a file that cannot be read to its end is refused, and leaves nothing', async () => {
  const half = gzipSync(`${line(9)}\n`.repeat(1000)).subarray(0, 60);
  writeFileSync(at('half.ndjson.gz'), half);
  writeFileSync(at('plain.ndjson.gz'), `${line(9)}\n`);
  for (const name of ['folder.ndjson', 'folder.ndjson.gz']) mkdirSync(at(name));
  const jobs = service.database.connection.collection('jobs');
  const before = await jobs.countDocuments();
  for (const name of ['half.ndjson.gz', 'plain.ndjson.gz', 'folder.ndjson', 'folder.ndjson.gz']) {
    const { code, stderr } = await users('import', name);
    expect([name, code, stderr]).toEqual([name, 64, expect.stringContaining('cannot be read')]);
    expect(stderr).not.toContain('unknown');
  }
  expect(await jobs.countDocuments()).toBe(before);
});

test('both are on record as commands, and wrong words get a usage error', async () => {
  await eventually('the events', async () => {
    const found = await service.database.connection
      .collection('audit_events')
      .distinct('type', { actor: /^cli:/ });
    return found.includes('users_exported') && found.includes('import_requested');
  });
  for (const words of [
    ['import'],
    ['export', 'a', 'b'],
    ['import', 'a.ndjson', '--conflict', 'x'],
    ['move'],
  ])
    expect((await users(...words)).code).toBe(64);
  expect((await users('import', 'nowhere.ndjson')).stderr).toContain('cannot be read');
  writeFileSync(at('users.txt'), 'email\nplain@example.org\n');
  const unnamed = await users('import', 'users.txt');
  expect([unnamed.code, unnamed.stderr]).toEqual([64, expect.stringContaining('--format csv')]);
  const named = await users('import', 'users.txt', '--format', 'csv', '--dry-run');
  expect(named.stdout).toContain('1 created');
});
