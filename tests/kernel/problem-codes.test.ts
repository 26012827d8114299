import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fieldCodes, PROBLEM_CODES, problemCodes } from '../../src/kernel/problem-codes';
import { problemTables } from '../../src/kernel/problem-tables';

const ROOT = resolve(__dirname, '../../..');
const SRC = join(ROOT, 'src');
const sources = (readdirSync(SRC, { recursive: true }) as string[])
  .filter((name) => name.endsWith('.ts') && name !== 'problem-codes.ts')
  .map((name) => readFileSync(join(SRC, name), 'utf8'))
  .join('\n');

test('docs/problem-codes.md has the generated tables', () => {
  expect(readFileSync(join(ROOT, 'docs/problem-codes.md'), 'utf8')).toContain(
    `<!-- problems -->\n${problemTables()}<!-- /problems -->`,
  );
});

test('every code is snake_case, has an error status and is used', () => {
  for (const code of problemCodes) {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(PROBLEM_CODES[code].status).toBeGreaterThanOrEqual(400);
  }
  expect([...problemCodes, ...fieldCodes].filter((code) => !sources.includes(`'${code}'`))).toEqual(
    [],
  );
});

test('a code is used with its own status only', () => {
  const given = [...sources.matchAll(/new Problem\((\d{3}), '(\w+)'/g)].map(
    ([, status, code]) => [code, Number(status)] as const,
  );
  expect(given.length).toBeGreaterThan(5);
  for (const [code, status] of given)
    expect([code, status]).toEqual([
      code,
      PROBLEM_CODES[code as keyof typeof PROBLEM_CODES].status,
    ]);
});
