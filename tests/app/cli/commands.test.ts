import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from '../../support/service';

/** Without settings and without the files that some commands write: work would fail here. */
const empty = mkdtempSync(path.join(tmpdir(), 'commands-'));
afterAll(() => rmSync(empty, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Of this repository only, not in the image. */
const TOOLS: Readonly<Record<string, string>> = {
  bench: 'bench/run',
  chaos: 'faults/chaos/main',
  faults: 'faults/index',
  layout: 'dev/layout/main',
  loadtest: 'dev/loadtest/main',
};

function run(name: string, ...args: string[]): Promise<Outcome> {
  const { PATH = '', HOME = '' } = process.env;
  const script = path.join(root, 'dist', `${TOOLS[name] ?? `cli/${name}`}.js`);
  const options = {
    cwd: empty,
    env: { PATH, HOME, MONGODB_URI: 'mongodb://127.0.0.1:9/x', DB_CONNECT_WAIT_MS: '100' },
  };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [script, ...args], options, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

const COMMANDS = ['cluster', 'doctor', 'explain', 'keys', 'migrate', 'problems', 'settings'];
const WITH_WORDS = ['admin', 'passwords', 'users'];

test.each([...COMMANDS, ...WITH_WORDS, ...Object.keys(TOOLS)])(
  '%s --help does nothing but help',
  async (name) => {
    const { code, stdout, stderr } = await run(name, '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage:[\s\S]*\nExit codes:\n {2}0 /);
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  },
);

test.each([
  ['admin', 'promote'],
  ['passwords', 'tune'],
  ['users', 'import'],
])('%s %s -h does nothing but help', async (name, command) => {
  const { code, stdout } = await run(name, command, '-h');
  expect({ code, isHelp: stdout.startsWith('Usage:') }).toEqual({ code: 0, isHelp: true });
});

test.each<[string, string[], string]>([
  ...COMMANDS.map((name): [string, string[], string] => [name, ['frobnicate'], '"frobnicate"']),
  ...COMMANDS.filter((name) => name !== 'cluster').map((name): [string, string[], string] => [
    name,
    ['--frobnicate'],
    'There is no option --frobnicate; --help lists them.',
  ]),
  ...[...WITH_WORDS, ...Object.keys(TOOLS)].flatMap((name): [string, string[], string][] => [
    [name, ['frobnicate'], 'frobnicate'],
    [name, ['--frobnicate'], '--frobnicate'],
  ]),
  ...[...WITH_WORDS, 'keys'].map((name): [string, string[], string] => [
    name,
    [],
    'A command is missing.',
  ]),
  ['bench', ['--only', 'profile,nosuch'], 'There is no question nosuch; there are profile, '],
  ['bench', ['--rounds', 'x'], '--rounds must be a whole number'],
  ['chaos', [], '--target is missing.'],
  ['faults', [], 'A suite is missing.'],
  ['faults', ['cache', '--only', 'nosuch'], 'There is no scenario nosuch in cache; there are '],
  ['loadtest', [], '--target is missing.'],
  ['cluster', ['--frobnicate'], 'Unknown command "--frobnicate"'],
  ['cluster', ['status', 'now'], 'status does not take "now"'],
  ['cluster', ['scale'], 'scale needs the number of workers'],
  ['cluster', ['scale', '+1', '2'], 'scale does not take "2"'],
  ['keys', ['list', 'all'], 'list does not take "all"'],
  ['keys', ['list', '--now'], 'list does not take --now'],
  ['keys', ['rotate', '--now', '--compromised'], 'not both'],
  ['keys', ['rotate', '--now=1'], '--now takes no value.'],
  ['migrate', ['up', 'down'], 'up does not take "down"'],
  ['doctor', ['--env'], '--env needs a value.'],
  ['doctor', ['--env', '--json'], '--env needs a value.'],
  ['doctor', ['--balancer-idle-seconds', 'x'], 'must be a whole number of seconds'],
  ['doctor', ['--ignore', 'keep-alive,nosuchcheck'], 'there is no check nosuchcheck'],
])('%s %j is refused with 64 and a reason', async (name, args, reason) => {
  const { code, stdout, stderr } = await run(name, ...args);
  expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  expect(stderr).toContain(reason);
});
