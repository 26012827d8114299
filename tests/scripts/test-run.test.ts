import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRunning, root } from '../support/service';

const folder = mkdtempSync(join(tmpdir(), 'test-run-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a test file as `npm test` does. */
async function run(source: string, limitMinutes: number) {
  const file = join(folder, 'one.test.js');
  writeFileSync(file, source);
  const config = JSON.stringify({
    rootDir: folder,
    transform: {},
    testEnvironment: join(root, 'dist/tests/support/owning-environment.js'),
  });
  const child = spawn(
    process.execPath,
    [join(root, 'scripts/test.mjs'), '--config', config, '--maxWorkers=1', file],
    { env: { ...process.env, TEST_LIMIT_MINUTES: String(limitMinutes) } },
  );
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      out += String(text);
    });
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, out };
}

/** Prints the pid of a process that ends by itself only after ten minutes. */
const LEAVES_A_CHILD = `
  const child = require('node:child_process').spawn('sleep', ['600'], { detached: true });
  process.stderr.write('child ' + child.pid + '\\n');`;

test('a process that a file leaves behind is named and ended', async () => {
  const { code, out } = await run(`test('leaves', () => {${LEAVES_A_CHILD}});`, 5);
  expect(out).toMatch(/left processes behind, which are ended now:\n {2}\d+ sleep 600/);
  expect([code, isRunning(Number(/child (\d+)/.exec(out)?.[1]))]).toEqual([0, false]);
}, 60_000);

test('a run that hangs ends at its limit, with all that it has started', async () => {
  const { code, out } = await run(
    `test('hangs', () => {${LEAVES_A_CHILD}
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`,
    0.15,
  );
  expect(out).toContain('TEST_LIMIT_MINUTES). What was still running:');
  expect([code, isRunning(Number(/child (\d+)/.exec(out)?.[1]))]).toEqual([1, false]);
}, 60_000);
