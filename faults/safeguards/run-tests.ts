import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Safeguard } from './safeguard';

const root = join(__dirname, '..', '..', '..');
const LIMIT_MS = 180_000;
const { jest: settings } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly jest: Readonly<Record<string, unknown>>;
};

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  /** Files that could not be run. */
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly { readonly message: string }[];
}

/** Runs the tests of a safeguard, with it or without it. */
export async function runTests(
  safeguard: Safeguard,
  isRemoved: boolean,
): Promise<{ readonly passed: number; readonly failed: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'safeguard-'));
  const output = join(folder, 'report.json');
  try {
    const said = await jestRun([
      ...['--config', JSON.stringify(configOf(safeguard, isRemoved)), '--rootDir', root],
      ...['--runInBand', '--forceExit', '--json', '--outputFile', output],
      ...['--testNamePattern', safeguard.named.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')],
      ...['--runTestsByPath', join(root, 'dist', 'tests', `${safeguard.test}.test.js`)],
    ]);
    const report = JSON.parse(readOr(output, '{}')) as Partial<Report>;
    const { numPassedTests: passed = 0, numFailedTests: failed = 0 } = report;
    const wasRun = report.numRuntimeErrorTestSuites === 0 && passed + failed > 0;
    if (!wasRun) throw new Error(`${safeguard.test} did not run:\n${said.slice(-2000)}`);
    return { passed, failed };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function configOf(safeguard: Safeguard, isRemoved: boolean) {
  // The report says it all.
  const config = { ...settings, reporters: [] };
  if (!isRemoved) return config;
  const { code, without, file } = safeguard;
  const transform = {
    [`/dist/src/${file}\\.js$`]: [join(__dirname, 'transform.js'), { code, without, file }],
  };
  return { ...config, transform };
}

/** Resolves with what it has written. */
function jestRun(args: readonly string[]): Promise<string> {
  const child = spawn(
    process.execPath,
    ['--experimental-vm-modules', join(root, 'node_modules', 'jest', 'bin', 'jest.js'), ...args],
    { cwd: root, stdio: ['ignore', 'ignore', 'pipe'], timeout: LIMIT_MS, killSignal: 'SIGKILL' },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-10_000);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve(said));
  });
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}
