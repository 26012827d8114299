import { createLineWriter, quoted } from '../../src/observability/line-writer';
import { createLogger } from '../../src/observability/logger';

const NASTY = [
  '',
  'plain',
  '/api/users/:id',
  '::ffff:192.0.2.1',
  'a"b',
  'back\\slash',
  'line\nbreak',
  '\u0000\u001f',
  'é ✓ 😀',
  '\ud800',
  '\u2028',
];

function memory() {
  const lines: string[] = [];
  return { lines, stream: { write: (line: string) => void lines.push(line) } };
}

test.each(NASTY)('%j is quoted as JSON quotes it', (value) => {
  expect(JSON.parse(quoted(value))).toBe(value);
  expect(quoted(value)).toMatch(/^[\0-\x7f]*$/);
});

test.each([{}, { name: 'api "1"' }])('a line is what pino would have written', (named) => {
  const { lines, stream } = memory();
  const log = createLogger({ level: 'info', ...named }, stream).child({ worker: 3 });
  const write = createLineWriter(log, 'a "message"');
  for (const value of NASTY) {
    log.info({ client: value, status: 200, duration_ms: 0.125 }, 'a "message"');
    write(`,"client":${quoted(value)},"status":200,"duration_ms":0.125`);
  }
  const withoutTime = lines.map((line) => line.replace(/"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/, '"time"'));
  for (let i = 0; i < withoutTime.length; i += 2) {
    expect(withoutTime[i + 1]).toContain('"time"');
    expect(JSON.parse(lines[i + 1] ?? '')).toMatchObject({ ...JSON.parse(lines[i] ?? ''), time: expect.any(String) });
    expect(withoutTime[i + 1]?.endsWith('\n')).toBe(true);
    expect(Object.keys(JSON.parse(lines[i + 1] ?? ''))).toEqual(Object.keys(JSON.parse(lines[i] ?? '')));
  }
});

test('it keeps to the level, also when that changes', () => {
  const { lines, stream } = memory();
  const log = createLogger({ level: 'warn' }, stream);
  const write = createLineWriter(log, 'request');
  write(',"n":1');
  log.level = 'info';
  write(',"n":2');
  log.level = 'silent';
  write(',"n":3');
  expect(lines.map((line) => JSON.parse(line).n)).toEqual([2]);
});

test('a destination that tells ASCII from other text is told', () => {
  const ascii: string[] = [];
  const { lines, stream } = memory();
  const log = createLogger({ level: 'info' }, Object.assign(stream, { writeAscii: (line: string) => void ascii.push(line) }));
  createLineWriter(log, 'request')(`,"client":${quoted('é ✓ 😀')}`);
  expect(lines).toEqual([]);
  expect(ascii.map((line) => JSON.parse(line).client)).toEqual(['é ✓ 😀']);
  expect(ascii.join('')).toMatch(/^[\0-\x7f]*$/);
});
