import { writeFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import type { AggregatedResult, Reporter } from '@jest/reporters';
import { SLOW_TESTS } from './slow-tests';

/** Of a file of `npm test`, also on a busy machine. */
const SLOW_MS = 30_000;

/**
 * The file for the names of failed tests, one per line: `.ci/run` detects flaky tests with them.
 */
const FAILED_FILE = 'FAILED_TESTS_FILE';

/**
 * Prints after Jest's summary the skipped tests, whose titles contain the reason, the failed ones
 * with the beginning of what they said, and a machine-readable line of totals.
 */
class SummaryReporter implements Pick<Reporter, 'onRunComplete'> {
  onRunComplete(_contexts: unknown, results: AggregatedResult): void {
    const root = `${process.cwd()}/dist/`;
    const named = (status: 'failed' | 'pending') =>
      results.testResults.flatMap(({ testFilePath, testResults }) =>
        testResults
          .filter((one) => one.status === status)
          .map((one) => `${testFilePath.replace(root, '')}: ${one.fullName}`),
      );
    const broken = results.testResults
      .filter(({ testExecError }) => testExecError != null)
      .map(({ testFilePath }) => testFilePath.replace(root, ''));
    const skipped = named('pending');
    if (skipped.length > 0) process.stdout.write(`\nSkipped:\n  ${skipped.join('\n  ')}\n`);
    const failed = [...named('failed'), ...broken];
    const why = results.testResults.flatMap(({ testFilePath, testResults, testExecError }) => [
      ...testResults.flatMap(({ status, fullName, failureMessages: [message = ''] }) =>
        status === 'failed'
          ? [`${testFilePath.replace(root, '')}: ${fullName}${brief(message)}`]
          : [],
      ),
      ...(testExecError == null
        ? []
        : [`${testFilePath.replace(root, '')}${brief(testExecError.message)}`]),
    ]);
    if (why.length > 0) process.stdout.write(`\nFailed:\n  ${why.join('\n  ')}\n`);
    const slow = results.testResults
      .filter(({ perfStats: { runtime } }) => runtime > SLOW_MS)
      .map(({ testFilePath }) => /tests\/(.*)\.test\.js$/.exec(testFilePath)?.[1] ?? '')
      .filter((name) => !SLOW_TESTS.includes(name));
    if (slow.length > 0)
      process.stdout.write(`\nFor tests/support/slow-tests.ts: ${slow.join(', ')}\n`);
    const file = process.env[FAILED_FILE];
    if (file !== undefined && file !== '')
      writeFileSync(file, failed.map((name) => `${name}\n`).join(''));
    process.stdout.write(
      `\n${results.numPassedTests} passed, ${failed.length} failed, ${skipped.length} skipped\n`,
    );
  }
}

/** The first lines of a failure, for a log of which only the end is kept. */
const brief = (message: string): string =>
  stripVTControlCharacters(message)
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^\s+at /.test(line))
    .slice(0, 8)
    .map((line) => `\n      ${line.slice(0, 160)}`)
    .join('');

export default SummaryReporter;
