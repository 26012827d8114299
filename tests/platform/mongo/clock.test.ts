import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DatabaseClock, startClock } from '../../../src/platform/mongo/clock';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { until } from '../../support/until';

const HOUR_MS = 3_600_000;
const DATABASE_MS = 1_800_000_000_000;
const log = createLogger({ level: 'silent' });

/**
 * A host and a database whose clocks the test sets; `tripMs` is the round trip of a measurement.
 */
function world(start: { wallMs: number; tripMs?: number }) {
  const state = {
    monotonicMs: 5000,
    wallAheadMs: start.wallMs - 5000,
    databaseAheadMs: DATABASE_MS - 5000,
    tripMs: start.tripMs ?? 2,
    asked: 0,
    broken: false,
    lost: 0,
    isHung: false,
  };
  return {
    state,
    open: (): Promise<DatabaseClock> =>
      startClock({
        log,
        timeoutMs: 300,
        monotonic: () => state.monotonicMs,
        wall: () => state.monotonicMs + state.wallAheadMs,
        lookMs: 2,
        ask: async () => {
          state.asked += 1;
          if (state.isHung) await new Promise(() => undefined);
          if (state.lost-- > 0) throw new Error('no answer in time');
          if (state.broken) throw new Error('the database is away');
          state.monotonicMs += state.tripMs / 2;
          const said = Math.floor(state.monotonicMs + state.databaseAheadMs);
          state.monotonicMs += state.tripMs / 2;
          return said;
        },
      }),
    databaseMs: () => state.monotonicMs + state.databaseAheadMs,
  };
}

let clock: DatabaseClock | undefined;
afterEach(() => clock?.close());

test.each([
  ['right', 0],
  ['an hour behind', -HOUR_MS],
  ['an hour ahead', HOUR_MS],
])(
  "a host whose clock is %s has the database's time, and knows its offset",
  async (_, offsetMs) => {
    const { open, databaseMs } = world({ wallMs: DATABASE_MS + offsetMs, tripMs: 40 });
    clock = await open();
    expect(Math.abs(clock.now() - databaseMs())).toBeLessThanOrEqual(2);
    expect(Math.abs(clock.offsetMs() - offsetMs)).toBeLessThanOrEqual(2);
  },
);

test('after its clock was set, a host has the right time at once and reports the offset', async () => {
  const { state, open, databaseMs } = world({ wallMs: DATABASE_MS });
  clock = await open();
  state.wallAheadMs += HOUR_MS;
  expect(Math.abs(clock.now() - databaseMs())).toBeLessThanOrEqual(2);
  expect(Math.abs(clock.offsetMs() - HOUR_MS)).toBeLessThanOrEqual(2);
});

test('after a sleep of the machine, the offset is measured at the next check of the host clocks', async () => {
  const { state, open, databaseMs } = world({ wallMs: DATABASE_MS });
  const made = await open();
  clock = made;
  // The monotonic clock stopped during the sleep.
  state.wallAheadMs += HOUR_MS;
  state.databaseAheadMs += HOUR_MS;
  await until('the clock to follow', () => Math.abs(made.now() - databaseMs()) <= 2, 2000);
});

test('the offset is measured periodically: another server with another clock may answer', async () => {
  const { state, open, databaseMs } = world({ wallMs: DATABASE_MS });
  const made = await open();
  clock = made;
  state.databaseAheadMs += 7000;
  state.monotonicMs += 10_000;
  await until('the clock to follow', () => Math.abs(made.now() - databaseMs()) <= 2, 2000);
});

test('keeps the last offset while the database is unreachable, and backs off', async () => {
  const { state, open, databaseMs } = world({ wallMs: DATABASE_MS });
  clock = await open();
  const asked = state.asked;
  state.broken = true;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(state.asked).toBe(asked);
  state.monotonicMs += 10_000;
  await until('one more question', () => state.asked > asked, 2000);
  expect(Math.abs(clock.now() - databaseMs())).toBeLessThanOrEqual(2);
});

test('one failed measurement is tolerated: on a slow connection the first one takes longest', async () => {
  const { state, open, databaseMs } = world({ wallMs: DATABASE_MS });
  state.lost = 2;
  clock = await open();
  expect(Math.abs(clock.now() - databaseMs())).toBeLessThanOrEqual(2);
});

test('a measurement in progress does not delay the stop', async () => {
  const { state, open } = world({ wallMs: DATABASE_MS });
  const made = await open();
  const asked = state.asked;
  state.isHung = true;
  state.monotonicMs += 10_000;
  await until('one more question', () => state.asked > asked, 2000);
  const began = performance.now();
  await made.close();
  expect(performance.now() - began).toBeLessThan(500);
});

test('rejects when the database does not answer', async () => {
  const { state, open } = world({ wallMs: DATABASE_MS });
  state.broken = true;
  await expect(open()).rejects.toThrow('away');
});

/**
 * Files that may use the host's own clock: for log lines, the `Date` header, file names and
 * examples of query plans.
 */
const OWN_CLOCK = [
  'platform/http/early-answers.ts',
  'platform/telemetry/logger.ts',
  'platform/mail/mailer.ts',
  'modules/auth/query-shapes.ts',
  'modules/audit/query-shapes.ts',
  'platform/mongo/clock.ts',
  // Times on a page about this host. The primary has no database, and nothing is decided by them.
  'runtime/ops/history.ts',
];

test("no other file reads the host's own clock", () => {
  const src = join(__dirname, '../../../../src');
  const files = (readdirSync(src, { recursive: true }) as string[]).filter((name) =>
    name.endsWith('.ts'),
  );
  const readers = files.flatMap((file) =>
    readFileSync(join(src, file), 'utf8')
      .split('\n')
      .filter((line) => /\bDate\.now\b|new Date\(\)/.test(line) && !OWN_CLOCK.includes(file))
      .map((line) => `${file}: ${line.trim()}`),
  );
  // express-rate-limit requires a time of the host's clock.
  expect(readers).toEqual([
    expect.stringMatching(/^platform\/rate-limits\/exact-limit\.ts: .*resetTime/),
  ]);
});
