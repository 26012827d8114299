// Runs the built tests with Jest, and ends with them: a run that takes longer than
// TEST_LIMIT_MINUTES is ended with all that it has started, however it hangs. Without a file it runs
// the fast files, with --slow the others. Other arguments go to Jest:
// npm test -- dist/tests/modules/users/users.test.js
import { spawn, spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const limitMinutes = Number(process.env.TEST_LIMIT_MINUTES ?? 40);
const jest = fileURLToPath(new URL('../node_modules/jest/bin/jest.js', import.meta.url));
const root = fileURLToPath(new URL('..', import.meta.url));

const given = process.argv.slice(2).filter((arg) => arg !== '--slow');
const isChosen = given.some((arg) => !arg.startsWith('-') || arg === '--onlyFailures');

/** The arguments that choose the files. */
function chosen() {
  if (isChosen) return [];
  const { SLOW_TESTS } = createRequire(import.meta.url)('../dist/tests/support/slow-tests.js');
  if (process.argv.includes('--slow'))
    return ['--runTestsByPath', ...SLOW_TESTS.map((name) => `${root}dist/tests/${name}.test.js`)];
  return [
    '--testPathIgnorePatterns',
    '/node_modules/',
    `/dist/tests/(${SLOW_TESTS.join('|')})\\.test\\.js$`,
  ];
}

// Jest has its own way to load ES modules, which some of the libraries are.
const command = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  jest,
  // Jest refuses the option twice, so the caller's own replaces this one.
  ...(process.argv.some((arg) => arg.startsWith('--maxWorkers')) ? [] : ['--maxWorkers=2']),
  // A failed hook may leave what keeps Jest from ending; the tests have named it by then.
  '--forceExit',
  ...given,
  ...chosen(),
];

const child = spawn(process.execPath, command, { stdio: 'inherit' });

/**
 * The run and all below it: a leaf's parent may be gone when its turn comes, so the list is made
 * first.
 */
function endRun() {
  const { stdout = '' } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,args='], {
    encoding: 'utf8',
    timeout: 5000,
  });
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, pid, ppid, args]) => ({ pid: Number(pid), ppid: Number(ppid), args }));
  const family = [{ pid: child.pid, args: 'jest' }];
  for (const { pid: parent } of family)
    family.push(...rows.filter(({ ppid, pid }) => ppid === parent && pid !== process.pid));
  for (const { pid, args } of family) {
    console.error(`  ended: ${pid} ${args.slice(0, 120)}`);
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
}

const timer = setTimeout(() => {
  console.error(
    `\nThe tests took longer than ${limitMinutes} minutes (TEST_LIMIT_MINUTES). What was still running:`,
  );
  endRun();
  process.exitCode = 1;
}, limitMinutes * 60_000);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  clearTimeout(timer);
  process.exitCode ||= code ?? 128 + constants.signals[signal];
});
