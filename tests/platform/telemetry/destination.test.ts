import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDestination } from '../../../src/platform/telemetry/destination';

const root = path.join(__dirname, '../../../..');
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'log-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function fifo() {
  const file = path.join(dir, 'fifo');
  spawnSync('mkfifo', [file]);
  const reader = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(file, constants.O_WRONLY | constants.O_NONBLOCK);
  const readAll = () => {
    const buffer = Buffer.alloc(1 << 20);
    let text = '';
    for (;;) {
      try {
        const count = readSync(reader, buffer);
        if (count === 0) return text;
        text += buffer.toString('utf8', 0, count);
      } catch {
        return text;
      }
    }
  };
  return { reader, writer, readAll };
}

test('lines are written completely and in order', () => {
  const file = path.join(dir, 'log');
  const fd = openSync(file, 'a');
  const log = createDestination({ fd });
  const lines = Array.from({ length: 5000 }, (_, i) => `{"n":${i}}\n`);
  for (const line of lines) log.write(line);
  log.close();
  closeSync(fd);
  expect(readFileSync(file, 'utf8')).toBe(lines.join(''));
});

test('text of any kind and length is written unchanged, batched and alone', () => {
  const file = path.join(dir, 'log');
  const fd = openSync(file, 'a');
  const log = createDestination({ fd, bufferMax: 1 << 22 });
  const texts = [
    'plain',
    'é',
    '✓',
    '😀',
    'x'.repeat(5000),
    '✓'.repeat(30_000),
    'x'.repeat(200_000),
  ];
  const lines = Array.from({ length: 300 }, (_, i) => `${i} ${texts[i % texts.length]}\n`);
  for (const line of lines) log.write(line);
  log.close();
  closeSync(fd);
  expect(readFileSync(file, 'utf8')).toBe(lines.join(''));
  expect(log.dropped()).toBe(0);
});

test('a write to a pipe is atomic unless one line is longer', () => {
  const { reader, writer } = fifo();
  const log = createDestination({ fd: writer });
  const sizes: number[] = [];
  const buffer = Buffer.alloc(1 << 20);
  for (let i = 0; i < 100; i++) log.write(`${'y'.repeat(299)}\n`);
  // The pipe contains whole batches of whole lines.
  sizes.push(readSync(reader, buffer));
  log.flushSync();
  sizes.push(readSync(reader, buffer));
  expect(sizes).toEqual([7 * 13 * 300, 9 * 300]);
  log.close();
  closeSync(reader);
  closeSync(writer);
});

test('a pipe without reads: writing never blocks, memory is bounded, the reader gets whole lines', () => {
  const { reader, writer, readAll } = fifo();
  const log = createDestination({ fd: writer, bufferMax: 10_000 });
  const line = `${'x'.repeat(99)}\n`;
  const from = performance.now();
  for (let i = 0; i < 20_000; i++) log.write(line);
  expect(performance.now() - from).toBeLessThan(1000);
  expect(log.dropped()).toBeGreaterThan(18_000);
  const first = readAll();
  log.flushSync();
  const all = first + readAll();
  expect(
    all
      .split('\n')
      .slice(0, -1)
      .every((part) => part === line.trim()),
  ).toBe(true);
  expect(all.length / line.length).toBe(20_000 - log.dropped());
  log.write('after\n');
  log.flushSync();
  expect(readAll()).toBe('after\n');
  log.close();
  closeSync(reader);
  closeSync(writer);
});

test('a closed reader loses lines, and the process continues', () => {
  const { reader, writer } = fifo();
  const log = createDestination({ fd: writer });
  closeSync(reader);
  log.write('lost\n');
  log.flushSync();
  log.write('lost too\n');
  expect(log.dropped()).toBe(2);
  log.close();
  closeSync(writer);
});

const full = existsSync('/dev/full') ? test : test.skip;
full(
  `a full disk costs lines, not the process, and is tried again${existsSync('/dev/full') ? '' : ' [skipped: no /dev/full]'}`,
  () => {
    const fd = openSync('/dev/full', 'w');
    const log = createDestination({ fd });
    for (let i = 1; i <= 3; i++) {
      log.write('lost\n');
      log.flushSync();
      expect(log.dropped()).toBe(i);
    }
    log.close();
    closeSync(fd);
  },
);

test.each(['pipe', 'socket'])(
  'a process whose standard output is a stopped %s continues and exits normally',
  async (kind) => {
    const script = `
    const { createDestination } = require('${path.join(root, 'dist/src/platform/telemetry/destination')}');
    const log = createDestination({ bufferMax: 10000 });
    for (let i = 0; i < 20000; i++) log.write('x'.repeat(99) + '\\n');
    require('node:fs').writeSync(2, 'still here\\n');
    process.exit(7);`;
    // A shell's pipe is a FIFO; Node's own is a socket pair.
    const child =
      kind === 'socket'
        ? spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'pipe'] })
        : spawn(
            'bash',
            ['-c', `{ "$0" -e "$1"; echo "code $?" >&2; } | sleep 2`, process.execPath, script],
            {
              stdio: ['ignore', 'ignore', 'pipe'],
            },
          );
    let said = '';
    child.stderr?.on('data', (part: Buffer) => {
      said += part.toString();
    });
    child.stdout?.pause();
    const [code] = await once(child, 'exit');
    expect(said).toContain('still here');
    if (kind === 'socket') expect(code).toBe(7);
    else expect(said).toContain('code 7');
  },
);
