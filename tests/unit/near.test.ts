import { createNearCopies } from '../../src/cache/near';

const TTL = 50;

test('a copy is served while it is younger than its time, counted from where its read began', () => {
  const near = createNearCopies<string>({ ttlMs: TTL, maxEntries: 10 });
  near.put('a', 'first', 0);
  expect([near.peek('a', 0), near.peek('a', TTL - 0.01), near.peek('a', TTL)]).toEqual(['first', 'first', undefined]);
  near.put('a', 'second', 60);
  expect([near.peek('a', 60), near.peek('a', 109.99), near.peek('a', 110)]).toEqual(['second', 'second', undefined]);
});

test('a slow read does not replace what a later one found, not even when that has expired', () => {
  const near = createNearCopies<string>({ ttlMs: TTL, maxEntries: 10 });
  near.put('a', 'later', 100);
  near.put('a', 'earlier', 99);
  expect(near.peek('a', 120)).toBe('later');
  expect(near.peek('a', 151)).toBeUndefined();
  near.put('a', null, 160);
  expect(near.peek('a', 161)).toBeNull();
});

test.each([
  [0, 10],
  [TTL, 0],
])('with a time of %d and room for %d nothing is kept', (ttl, max) => {
  const near = createNearCopies<string>({ ttlMs: ttl, maxEntries: max });
  near.put('a', 'value', 0);
  near.keep('a', { bytes: Buffer.from('value'), value: 'value' });
  expect([near.peek('a', 0), near.decoded('a'), near.has('a'), near.size]).toEqual([undefined, undefined, false, 0]);
});

test('what was decoded stays with its copy, and goes with it', () => {
  const near = createNearCopies<string>({ ttlMs: TTL, maxEntries: 2 });
  const decoded = { bytes: Buffer.from('bytes'), value: 'value' };
  near.keep('a', decoded);
  expect(near.decoded('a')).toBeUndefined();
  near.put('a', 'value', 0);
  near.keep('a', decoded);
  near.put('a', 'value', 1000);
  expect(near.decoded('a')).toBe(decoded);
  near.put('b', 'value', 1001);
  for (const at of [1002, 1003]) near.put('c', 'value', at);
  expect([near.size, near.has('a'), near.decoded('a')]).toEqual([2, false, undefined]);
});

/** In a crowd a key is kept from its second time on. */
function twice(near: ReturnType<typeof createNearCopies<number>>, key: string, value: number, at: number): void {
  for (let i = 0; i < 2; i += 1) near.put(key, value, at);
}

test('in a crowd who comes once leaves no copy, who comes again does, and who has a place keeps it', () => {
  const near = createNearCopies<number>({ ttlMs: TTL, maxEntries: 10_000 });
  for (let i = 0; i < 2048; i += 1) near.put(`key ${i}`, i, 0);
  expect(near.size).toBe(2048);
  for (let i = 0; i < 10_000; i += 1) near.put(`once ${i}`, i, 1);
  expect(near.size).toBe(2048);
  near.put('again', 1, 2);
  expect(near.has('again')).toBe(false);
  near.put('again', 2, 3);
  expect(near.peek('again', 4)).toBe(2);
  near.put('key 2047', -1, 5);
  expect(near.peek('key 2047', 6)).toBe(-1);
});

test('of a hundred thousand keys in no order nearly all leave no copy', () => {
  const near = createNearCopies<number>({ ttlMs: TTL, maxEntries: 10_000 });
  const before = 2048;
  for (let i = 0; i < before; i += 1) near.put(`first ${i}`, i, 0);
  let kept = 0;
  // A walk with a stride that is prime to the count: every key once in each round.
  for (let i = 0; i < 200_000; i += 1) {
    const key = `key ${(i * 7919) % 100_000}`;
    near.put(key, i, 100 + i / 10);
    if (near.has(key)) kept += 1;
  }
  expect(kept).toBeLessThan(2000);
});

test('never more than the most, and the young ones stay', () => {
  const near = createNearCopies<number>({ ttlMs: TTL, maxEntries: 5000 });
  for (let i = 0; i < 20_000; i += 1) twice(near, `key ${i}`, i, i / 100);
  expect(near.size).toBeLessThanOrEqual(5000);
  // At 200 ms all that began after 150 would still be good, and the last 5,000 of them have room.
  for (let i = 15_001; i < 20_000; i += 1) expect(near.peek(`key ${i}`, 199.99)).toBe(i);
});

test('after a burst the expired go, two with each new one, and those in use stay', () => {
  const near = createNearCopies<number>({ ttlMs: TTL, maxEntries: 10_000 });
  for (let i = 0; i < 8000; i += 1) twice(near, `key ${i}`, i, 0);
  expect(near.size).toBe(8000);
  for (let i = 0; i < 8000; i += 1) {
    near.put('in use', i, 1000);
    twice(near, `new ${i}`, i, 1000 + i);
    near.put('in use', i, 1000 + i);
    expect(near.peek('in use', 1000 + i)).toBe(i);
  }
  expect(near.size).toBeLessThanOrEqual(2048 + TTL);
});

/** A table of stamps that says what the test says. */
function seen(began: number | undefined) {
  const state = { began, looks: 0 };
  const stamps = {
    confirmed: () => state.began,
    look() {
      state.looks += 1;
    },
  };
  return { state, near: createNearCopies<string>({ ttlMs: TTL, maxEntries: 10, stamps }) };
}
const renewable = { bucket: 1, lineage: 1, count: 0 };

test('a copy that the stamps confirm is good for its time from the beginning of the look', () => {
  const { state, near } = seen(undefined);
  near.put('a', 'value', 0, renewable);
  expect(near.peek('a', TTL)).toBeUndefined();
  state.began = 30;
  expect([near.peek('a', TTL), near.peek('a', 79.99), near.peek('a', 80)]).toEqual(['value', 'value', undefined]);
  state.began = 100;
  expect(near.peek('a', 149)).toBe('value');
  // Once renewed it is as good as one that was read then, whatever the stamps show now.
  state.began = undefined;
  expect([near.peek('a', 149.99), near.peek('a', 150)]).toEqual(['value', undefined]);
});

test('one that is not renewable is not, and no copy lives on looks alone for more than five seconds', () => {
  const { state, near } = seen(40);
  near.put('a', 'value', 0);
  expect(near.peek('a', TTL)).toBeUndefined();
  near.put('b', 'value', 0, renewable);
  state.began = 4999;
  expect(near.peek('b', 5010)).toBe('value');
  state.began = 5000;
  expect(near.peek('b', 5049)).toBeUndefined();
});

test('a read replaces what a copy is renewed by', () => {
  const { near } = seen(60);
  near.put('a', 'first', 0, renewable);
  near.put('a', 'second', 5);
  expect(near.peek('a', 70)).toBeUndefined();
});

test('every read of a copy that is there asks for a look, and none of an absent one', () => {
  const { state, near } = seen(undefined);
  near.peek('a', 0);
  expect(state.looks).toBe(0);
  near.put('a', 'value', 0, renewable);
  near.peek('a', 1);
  near.peek('a', 100);
  expect(state.looks).toBe(2);
});
