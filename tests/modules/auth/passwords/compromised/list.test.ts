import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  type BuildOptions,
  buildList,
} from '../../../../../src/modules/auth/passwords/compromised/list-builder';
import {
  falsePositiveRate,
  ListError,
} from '../../../../../src/modules/auth/passwords/compromised/list-format';
import { openCompromisedList } from '../../../../../src/modules/auth/passwords/compromised/list-reader';

const HASHES = 1_000_000;
const KNOWN = ['correct horse battery', 'Tr0ub4dor&3', 'caf\u00e9 au lait', '漢字の合言葉です'];
const digestOf = (text: string) => createHash('sha1').update(text).digest('hex').toUpperCase();

let folder: string;
/** Ascending, with counts, as the published list is. */
let sorted: string[];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'compromised-'));
  const lines = Array.from(
    { length: HASHES },
    (_, i) => `${digestOf(`leaked ${i}`)}:${1 + (i % 9)}`,
  );
  sorted = [...lines, ...KNOWN.map((password) => `${digestOf(password)}:12`)].sort();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const at = (...names: string[]) => join(folder, ...names);
function written(name: string, lines: readonly string[], end = '\n'): string {
  const text = `${lines.join(end)}${end}`;
  writeFileSync(at(name), name.endsWith('.gz') ? gzipSync(text, { level: 1 }) : text);
  return at(name);
}
const build = (options: Partial<BuildOptions> & Pick<BuildOptions, 'inputs' | 'output'>) =>
  buildList({
    ...{ prefixBytes: 6, minCount: 1, memoryEntries: 1 << 20 },
    progress: () => {},
    ...options,
  });

async function assertAnswers(path: string): Promise<void> {
  const list = openCompromisedList(path);
  try {
    for (const password of [...KNOWN, 'cafe\u0301 au lait'])
      expect([password, await list.has(password), list.hasSync(password)]).toEqual([
        ...[password, true, true],
      ]);
    for (let i = 0; i < HASHES; i += 997) expect(await list.has(`leaked ${i}`)).toBe(true);
    for (let i = 0; i < 3000; i += 1) expect(list.hasSync(`not leaked ${i}`)).toBe(false);
  } finally {
    await list.close();
  }
}

/** Reproducible: Fisher and Yates by a linear congruential generator. */
function shuffled(lines: readonly string[]): string[] {
  const result = [...lines];
  let state = 1;
  for (let i = result.length - 1; i > 0; i -= 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const j = state % (i + 1);
    [result[i], result[j]] = [result[j] as string, result[i] as string];
  }
  return result;
}

describe('a list of a million hashes', () => {
  let reference: Buffer;
  beforeAll(async () => {
    const input = written('sorted.txt', sorted);
    const built = await build({ inputs: [input], output: at('list') });
    expect(built).toMatchObject({ count: sorted.length, read: sorted.length, files: 1 });
    reference = readFileSync(at('list'));
  });

  test('knows every one of them and no other password', async () => {
    await assertAnswers(at('list'));
    const { size } = statSync(at('list'));
    expect(size).toBeLessThan(sorted.length * 6.1);
    expect(falsePositiveRate({ count: sorted.length, prefixBytes: 6 })).toBeLessThan(1e-8);
    expect(readdirSync(folder).filter((name) => name.startsWith('.passwords'))).toEqual([]);
  });

  test('is the same from unsorted, repeated and packed lines, within a bounded memory', async () => {
    const lines = shuffled(sorted);
    const half = Math.floor(lines.length / 2);
    const inputs = [
      written('one.txt.gz', lines.slice(0, half)),
      written(
        'two.txt',
        lines.slice(half - 1000).map((line) => line.toLowerCase()),
        '\r\n',
      ),
    ];
    const steps = new Map<string, number[]>();
    const built = await build({
      ...{ inputs, output: at('unsorted'), memoryEntries: 50_000 },
      progress: (step, done, total) => steps.set(step, [...(steps.get(step) ?? []), done / total]),
    });
    expect(built).toMatchObject({ count: sorted.length, read: sorted.length + 1000, files: 2 });
    expect(readFileSync(at('unsorted')).equals(reference)).toBe(true);
    for (const parts of steps.values()) {
      expect(parts).toEqual([...parts].sort((a, b) => a - b));
      expect(parts.at(-1)).toBe(1);
      expect(parts.length).toBeGreaterThan(5);
    }
  });

  test('is the same from a folder of range files', async () => {
    const ranges = new Map<string, string[]>();
    for (const line of sorted.slice(0, 2000)) {
      const range = line.slice(0, 5);
      ranges.set(range, [...(ranges.get(range) ?? []), line.slice(5)]);
    }
    mkdirSync(at('ranges'));
    let packed = false;
    for (const [range, lines] of ranges) {
      packed = !packed;
      // Padded, as the service that publishes ranges does on demand.
      written(join('ranges', packed ? `${range}.txt` : `${range}.gz`), [
        ...lines,
        `${'0'.repeat(35)}:0`,
      ]);
    }
    const inputs = [written('head.txt', sorted.slice(0, 2000))];
    await build({ inputs: [at('ranges')], output: at('from-ranges') });
    await build({ inputs, output: at('from-file') });
    expect(readFileSync(at('from-ranges')).equals(readFileSync(at('from-file')))).toBe(true);
  });

  test('without the rare hashes has the others', async () => {
    const inputs = [at('sorted.txt')];
    const built = await build({ inputs, output: at('frequent'), minCount: 9 });
    expect(built.read).toBe(Math.floor(HASHES / 9) + KNOWN.length);
    const list = openCompromisedList(at('frequent'));
    expect([list.hasSync('leaked 8'), list.hasSync('leaked 7')]).toEqual([true, false]);
    await list.close();
  });

  test('with shorter prefixes is smaller, and refuses passwords that are not listed', async () => {
    const inputs = [at('sorted.txt')];
    const built = await build({ inputs, output: at('short'), prefixBytes: 4 });
    const list = openCompromisedList(at('short'));
    expect(KNOWN.every((password) => list.hasSync(password))).toBe(true);
    const rate = falsePositiveRate(built);
    let wrong = 0;
    for (let i = 0; i < 40_000; i += 1) if (list.hasSync(`not leaked ${i}`)) wrong += 1;
    await list.close();
    // About 9 of 40,000.
    expect(rate).toBeCloseTo(HASHES / 2 ** 32, 5);
    expect(wrong).toBeGreaterThan(0);
    expect(wrong).toBeLessThan(40);
  });

  describe('that is damaged', () => {
    const damaged = (change: (bytes: Buffer) => void): string => {
      const bytes = Buffer.from(reference);
      change(bytes);
      writeFileSync(at('damaged'), bytes);
      return at('damaged');
    };
    test.each([
      ['another file', (bytes: Buffer) => bytes.write('PK'), 'is not a list made by'],
      ['a later version', (bytes: Buffer) => bytes.writeUInt16BE(2, 8), 'has version 2'],
      ['a header', (bytes: Buffer) => bytes.writeUInt8(1, 20), 'is damaged'],
      ['the first block', (bytes: Buffer) => bytes.writeUInt8(255, 4096), 'is damaged'],
      ['the last block', (bytes: Buffer) => bytes.writeUInt8(1, bytes.length - 9), 'is damaged'],
    ])('in %s is not opened', (_, change, message) => {
      const open = () => openCompromisedList(damaged(change));
      expect(open).toThrow(ListError);
      expect(open).toThrow(message);
    });

    test('by a cut is not opened, nor a folder or a file that is not there', () => {
      copyFileSync(at('list'), at('cut'));
      truncateSync(at('cut'), reference.length - 4096);
      expect(() => openCompromisedList(at('cut'))).toThrow('is damaged');
      truncateSync(at('cut'), 100);
      expect(() => openCompromisedList(at('cut'))).toThrow('is not a list');
      expect(() => openCompromisedList(folder)).toThrow();
      expect(() => openCompromisedList(at('nowhere'))).toThrow('ENOENT');
    });

    test('in a block between is found by the lookup that reads it, and by verify', async () => {
      const middle = 4096 * Math.floor(reference.length / 8192);
      const list = openCompromisedList(damaged((bytes) => bytes.writeUInt8(7, middle + 9)));
      const outcomes = new Set<string>();
      for (let i = 0; i < HASHES && outcomes.size < 2; i += 1)
        outcomes.add(
          await list.has(`leaked ${i}`).then(
            (found) => `found: ${found}`,
            (error: Error) => `${error.name}: ${error.message}`,
          ),
        );
      expect([...outcomes].sort()).toEqual([
        'ListError: is damaged: a block has another checksum',
        'found: true',
      ]);
      expect(() => list.verify()).toThrow('is damaged');
      await list.close();
      const sound = openCompromisedList(at('list'));
      sound.verify();
      await sound.close();
    });
  });
});

describe('input that is no list of hashes', () => {
  const HASH = digestOf('x');
  test.each([
    ['passwords', 'hunter2', 'line 2 is not 40 hex digits'],
    ['NTLM hashes', `${HASH.slice(0, 32)}:3`, 'line 2 is not 40 hex digits'],
    ['another digit', `${HASH.slice(0, 39)}G:3`, 'line 2 is not 40 hex digits'],
    ['longer digests', `${HASH}00:3`, 'line 2 has no count after its digits'],
    ['no number', `${HASH}:3x`, 'line 2 has a count that is no number'],
    ['a line without end', 'A'.repeat(300), 'line 2'],
  ])('%s is refused, and the former list stays', async (_, line, message) => {
    const output = at('kept');
    writeFileSync(output, 'the former list');
    const inputs = [written('wrong.txt', [`${HASH}:1`, line])];
    await expect(build({ inputs, output })).rejects.toThrow(message);
    expect(readFileSync(output, 'utf8')).toBe('the former list');
    expect(readdirSync(folder).filter((name) => name.startsWith('.passwords'))).toEqual([]);
  });

  test('a missing file, an empty file and a broken archive are refused', async () => {
    const output = at('kept');
    await expect(build({ inputs: [at('nowhere')], output })).rejects.toThrow('cannot be read');
    writeFileSync(at('empty.txt'), '');
    await expect(build({ inputs: [at('empty.txt')], output })).rejects.toThrow('no hashes');
    writeFileSync(at('broken.gz'), 'no archive');
    await expect(build({ inputs: [at('broken.gz')], output })).rejects.toThrow('cannot be read');
  });
});
