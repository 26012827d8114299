import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { safeguards } from '../../faults/safeguards';
import { patternOf } from '../../faults/safeguards/safeguard';

const root = join(__dirname, '..', '..', '..');
const occurrences = (path: string, pattern: RegExp) =>
  readFileSync(join(root, path), 'utf8').match(pattern)?.length;

test.each(safeguards)('$name: its line is in the code, once', (safeguard) => {
  const pattern = patternOf(safeguard);
  expect(occurrences(`src/${safeguard.file}.ts`, pattern)).toBe(1);
  expect(occurrences(`dist/src/${safeguard.file}.js`, pattern)).toBe(1);
  expect(existsSync(join(root, `tests/${safeguard.test}.test.ts`))).toBe(true);
});

test('no two have one name', () => {
  const names = safeguards.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});
