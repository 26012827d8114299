import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { exitCodes } from '../../src/runtime/exit-codes';
import { runDoctor } from '../support/doctor';
import { isRunning, root, startService, until } from '../support/service';

const folder = mkdtempSync(path.join(tmpdir(), 'places-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = path.join(folder, 'file');
writeFileSync(file, 'no list');
const open = path.join(folder, 'open');
mkdirSync(open);
chmodSync(open, 0o755);

type Settings = Readonly<Record<string, string>>;

/** The faults with which the service refuses to start. */
async function refusal(env: Settings): Promise<string[]> {
  const entry = path.join(root, 'dist', 'main.js');
  const service = await startService({ entry, env, failing: true });
  const timer = setTimeout(() => service.signal('SIGKILL'), 15_000);
  const { code } = await service.exited;
  clearTimeout(timer);
  const faults = service.stderr().split('\n').slice(1, -1);
  await service.close();
  expect([env, code, service.logs()]).toEqual([env, exitCodes.config, []]);
  return faults.map((line) => line.trim());
}

test.each([
  ['/proc/foo', 'cannot be made in /proc (ENOENT)'],
  ['/proc/foo/data', 'cannot be made in /proc (ENOENT)'],
  ['/etc/passwd', '/etc/passwd is none'],
  ['/dev/null/x', '/dev/null is none'],
  ['/sys/foo', 'cannot be made in /sys'],
  [`/${'x'.repeat(300)}`, 'ENAMETOOLONG'],
])('DATA_DIR=%s ends the start at once', async (DATA_DIR, why) => {
  expect(await refusal({ DATA_DIR, MONGODB_URI: '' })).toEqual([
    expect.stringMatching(new RegExp(`^DATA_DIR .*${why.replaceAll(/[()]/g, '\\$&')}`)),
  ]);
});

const PLACES = {
  MAIL_TEMPLATES_DIR: '/nowhere',
  COMPROMISED_PASSWORDS_FILE: file,
  DATA_DIR: file,
  RUNTIME_DIR: file,
  HOST: '198.51.100.7',
  OPS_PORT: '3999',
  OPS_HOST: '203.0.113.9',
};
const FAULTS = [
  'MAIL_TEMPLATES_DIR must be a folder that exists',
  'COMPROMISED_PASSWORDS_FILE names',
  'DATA_DIR must be a folder',
  'RUNTIME_DIR must be a folder',
  'HOST must be an address of this host',
  'OPS_HOST must be an address of this host',
];

test('faults of files and folders come with those of the settings', async () => {
  const found = await refusal({ ...PLACES, WORKERS: 'many' });
  // An address may be there a moment later: a start is repeated for it.
  const faults = ['WORKERS must be', ...FAULTS].filter((fault) => !/HOST/.test(fault));
  expect(found).toEqual(faults.map((fault) => expect.stringContaining(fault)));
  expect(readdirSync(folder).sort()).toEqual(['file', 'open']);
});

test('a folder that lacks templates is one fault', async () => {
  expect(await refusal({ MAIL_TEMPLATES_DIR: open })).toEqual([
    expect.stringMatching(/^MAIL_TEMPLATES_DIR .* lacks \d+ files: verify-email.txt, /),
  ]);
});

test('a volume that others may enter serves as RUNTIME_DIR, and an absent ops address is logged', async () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'volume-'));
  chmodSync(dir, 0o777);
  const env = { RUNTIME_DIR: dir, DATA_DIR: path.join(dir, 'data'), WORKERS: '1' };
  const service = await startService({
    entry: path.join(root, 'dist', 'main.js'),
    env: { ...env, OPS_PORT: '3999', OPS_HOST: '203.0.113.9' },
    timeoutMs: 60_000,
  });
  try {
    const inside = path.join(dir, readdirSync(dir).find((name) => /^auth-api-/.test(name)) ?? '');
    expect(statSync(inside).mode & 0o777).toBe(0o700);
    expect(readdirSync(inside)).toContain(`p${service.pid}`);
    expect(service.logs().some(({ msg }) => /ops port unavailable/.test(String(msg)))).toBe(true);
  } finally {
    await service.close();
    rmSync(dir, { recursive: true, force: true });
  }
});

test('a start removes the files that a killed primary left in RUNTIME_DIR', async () => {
  const entry = path.join(root, 'dist', 'main.js');
  const dir = mkdtempSync(path.join(tmpdir(), 'left-'));
  const env = {
    RUNTIME_DIR: path.join(dir, 'run'),
    DATA_DIR: path.join(dir, 'data'),
    WORKERS: '1',
  };
  const ofPrimaries = () => readdirSync(env.RUNTIME_DIR).filter((name) => /^p\d+$/.test(name));
  const killed = await startService({ entry, env, timeoutMs: 60_000 });
  const pids = killed.workerPids();
  killed.signal('SIGKILL');
  await killed.exited;
  await until('the workers to end', () => !pids.some(isRunning));
  expect(ofPrimaries()).toEqual([`p${killed.pid}`]);
  // A young one may be that of another container.
  const long = new Date(Date.now() - 3_600_000);
  utimesSync(path.join(env.RUNTIME_DIR, `p${killed.pid}`), long, long);
  const next = await startService({ entry, env, timeoutMs: 60_000 });
  expect(ofPrimaries()).toEqual([`p${next.pid}`]);
  await next.close();
  expect(ofPrimaries()).toEqual([]);
  await killed.close();
  rmSync(dir, { recursive: true, force: true });
});

test('the doctor reports faults that stop a start, and changes nothing', async () => {
  const { code, stdout } = await runDoctor(['--settings-only', '--json'], PLACES);
  expect(code).toBe(1);
  const { findings } = JSON.parse(stdout) as { findings: { check: string; seen: string }[] };
  expect(findings.map(({ check, seen }) => [check, seen])).toEqual(
    FAULTS.map((fault) => ['settings', expect.stringContaining(fault)]),
  );
  const free = path.join(folder, 'free', 'data');
  const { stdout: sound } = await runDoctor(['--settings-only'], {
    DATA_DIR: free,
    RUNTIME_DIR: path.join(folder, 'run'),
  });
  expect(sound).toContain('ok       settings');
  expect(readdirSync(folder).sort()).toEqual(['file', 'open']);
});
