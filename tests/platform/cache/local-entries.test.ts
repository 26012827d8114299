import { soleLifetime } from '../../../src/platform/cache/entry-lifetime';
import { createLocalEntries } from '../../../src/platform/cache/local-entries';

const TTL = 50;

test('an entry is served while it is younger than its lifetime, counted from when its read began', () => {
  const entries = createLocalEntries<string>({ lifetime: soleLifetime(TTL), maxEntries: 10 });
  entries.put('a', 'first', 0);
  expect([entries.peek('a', 0), entries.peek('a', TTL - 0.01), entries.peek('a', TTL)]).toEqual([
    'first',
    'first',
    undefined,
  ]);
  entries.put('a', 'second', 60);
  expect([entries.peek('a', 60), entries.peek('a', 109.99), entries.peek('a', 110)]).toEqual([
    'second',
    'second',
    undefined,
  ]);
});

test('a slow read does not replace the value of a later one, not even after that has expired', () => {
  const entries = createLocalEntries<string>({ lifetime: soleLifetime(TTL), maxEntries: 10 });
  entries.put('a', 'later', 100);
  entries.put('a', 'earlier', 99);
  expect(entries.peek('a', 120)).toBe('later');
  expect(entries.peek('a', 151)).toBeUndefined();
  entries.put('a', null, 160);
  expect(entries.peek('a', 161)).toBeNull();
});

test.each([
  [0, 10],
  [TTL, 0],
])('with a lifetime of %d and room for %d nothing is kept', (ttl, max) => {
  const entries = createLocalEntries<string>({ lifetime: soleLifetime(ttl), maxEntries: max });
  entries.put('a', 'value', 0);
  entries.keep('a', { bytes: Buffer.from('value'), value: 'value' });
  expect([entries.peek('a', 0), entries.decoded('a'), entries.has('a'), entries.size]).toEqual([
    undefined,
    undefined,
    false,
    0,
  ]);
});

test('a decoded value stays with its entry, and is dropped with it', () => {
  const entries = createLocalEntries<string>({ lifetime: soleLifetime(TTL), maxEntries: 2 });
  const decoded = { bytes: Buffer.from('bytes'), value: 'value' };
  entries.keep('a', decoded);
  expect(entries.decoded('a')).toBeUndefined();
  entries.put('a', 'value', 0);
  entries.keep('a', decoded);
  entries.put('a', 'value', 1000);
  expect(entries.decoded('a')).toBe(decoded);
  entries.put('b', 'value', 1001);
  for (const at of [1002, 1003]) entries.put('c', 'value', at);
  expect([entries.size, entries.has('a'), entries.decoded('a')]).toEqual([2, false, undefined]);
});

/** Above the crowd size a key is kept from its second read on. */
function twice(
  entries: ReturnType<typeof createLocalEntries<number>>,
  key: string,
  value: number,
  at: number,
): void {
  for (let i = 0; i < 2; i += 1) entries.put(key, value, at);
}

test('above the crowd size a key is kept from its second read on, and kept keys stay', () => {
  const entries = createLocalEntries<number>({ lifetime: soleLifetime(TTL), maxEntries: 10_000 });
  for (let i = 0; i < 2048; i += 1) entries.put(`key ${i}`, i, 0);
  expect(entries.size).toBe(2048);
  for (let i = 0; i < 10_000; i += 1) entries.put(`once ${i}`, i, 1);
  expect(entries.size).toBe(2048);
  entries.put('again', 1, 2);
  expect(entries.has('again')).toBe(false);
  entries.put('again', 2, 3);
  expect(entries.peek('again', 4)).toBe(2);
  entries.put('key 2047', -1, 5);
  expect(entries.peek('key 2047', 6)).toBe(-1);
});

test('of a hundred thousand keys in no order hardly any is kept', () => {
  const entries = createLocalEntries<number>({ lifetime: soleLifetime(TTL), maxEntries: 10_000 });
  const before = 2048;
  for (let i = 0; i < before; i += 1) entries.put(`first ${i}`, i, 0);
  let kept = 0;
  // A walk with a stride that is prime to the count: every key once in each round.
  for (let i = 0; i < 200_000; i += 1) {
    const key = `key ${(i * 7919) % 100_000}`;
    entries.put(key, i, 100 + i / 10);
    if (entries.has(key)) kept += 1;
  }
  expect(kept).toBeLessThan(2000);
});

test('never more than the maximum, and young entries stay', () => {
  const entries = createLocalEntries<number>({ lifetime: soleLifetime(TTL), maxEntries: 5000 });
  for (let i = 0; i < 20_000; i += 1) twice(entries, `key ${i}`, i, i / 100);
  expect(entries.size).toBeLessThanOrEqual(5000);
  // At 200 ms all that began after 150 would still be good, and the last 5,000 of them have room.
  for (let i = 15_001; i < 20_000; i += 1) expect(entries.peek(`key ${i}`, 199.99)).toBe(i);
});

test('after a burst each insertion drops two expired entries, and entries in use stay', () => {
  const entries = createLocalEntries<number>({ lifetime: soleLifetime(TTL), maxEntries: 10_000 });
  for (let i = 0; i < 8000; i += 1) twice(entries, `key ${i}`, i, 0);
  expect(entries.size).toBe(8000);
  for (let i = 0; i < 8000; i += 1) {
    entries.put('in use', i, 1000);
    twice(entries, `new ${i}`, i, 1000 + i);
    entries.put('in use', i, 1000 + i);
    expect(entries.peek('in use', 1000 + i)).toBe(i);
  }
  expect(entries.size).toBeLessThanOrEqual(2048 + TTL);
});

/** Counters that confirm what the test sets. */
function seen(began: number | undefined) {
  const state = { began, looks: 0 };
  const invalidations = {
    confirmedAt: () => state.began,
    refresh() {
      state.looks += 1;
    },
  };
  return {
    state,
    entries: createLocalEntries<string>({
      lifetime: soleLifetime(TTL),
      maxEntries: 10,
      invalidations,
    }),
  };
}
const renewable = { bucket: 1, lineage: 1, count: 0 };

test('an entry that the counters confirm lives from the beginning of their read', () => {
  const { state, entries } = seen(undefined);
  entries.put('a', 'value', 0, renewable);
  expect(entries.peek('a', TTL)).toBeUndefined();
  state.began = 30;
  expect([entries.peek('a', TTL), entries.peek('a', 79.99), entries.peek('a', 80)]).toEqual([
    'value',
    'value',
    undefined,
  ]);
  state.began = 100;
  expect(entries.peek('a', 149)).toBe('value');
  // Once renewed it is as good as one that was read then, whatever the counters show now.
  state.began = undefined;
  expect([entries.peek('a', 149.99), entries.peek('a', 150)]).toEqual(['value', undefined]);
});

test('an entry without a snapshot is not renewed, and none for longer than five seconds', () => {
  const { state, entries } = seen(40);
  entries.put('a', 'value', 0);
  expect(entries.peek('a', TTL)).toBeUndefined();
  entries.put('b', 'value', 0, renewable);
  state.began = 4999;
  expect(entries.peek('b', 5010)).toBe('value');
  state.began = 5000;
  expect(entries.peek('b', 5049)).toBeUndefined();
});

test('a read replaces the snapshot of an entry', () => {
  const { entries } = seen(60);
  entries.put('a', 'first', 0, renewable);
  entries.put('a', 'second', 5);
  expect(entries.peek('a', 70)).toBeUndefined();
});

test('reading an entry refreshes the counters, reading an absent one does not', () => {
  const { state, entries } = seen(undefined);
  entries.peek('a', 0);
  expect(state.looks).toBe(0);
  entries.put('a', 'value', 0, renewable);
  entries.peek('a', 1);
  entries.peek('a', 100);
  expect(state.looks).toBe(2);
});
