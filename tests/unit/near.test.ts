import { createNearCopies } from '../../src/cache/near';

const TTL = 50;

test('a copy is served while it is younger than its time, counted from where its read began', () => {
  const near = createNearCopies<string>(TTL, 10);
  near.put('a', 'first', 0);
  expect([near.peek('a', 0), near.peek('a', TTL - 0.01), near.peek('a', TTL)]).toEqual(['first', 'first', undefined]);
  near.put('a', 'second', 60);
  expect([near.peek('a', 60), near.peek('a', 109.99), near.peek('a', 110)]).toEqual(['second', 'second', undefined]);
});

test('a slow read does not replace what a later one found, not even when that has expired', () => {
  const near = createNearCopies<string>(TTL, 10);
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
  const near = createNearCopies<string>(ttl, max);
  near.put('a', 'value', 0);
  near.keep('a', { bytes: Buffer.from('value'), value: 'value' });
  expect([near.peek('a', 0), near.decoded('a'), near.has('a'), near.size]).toEqual([undefined, undefined, false, 0]);
});

test('what was decoded stays with its copy, and goes with it', () => {
  const near = createNearCopies<string>(TTL, 2);
  const decoded = { bytes: Buffer.from('bytes'), value: 'value' };
  near.keep('a', decoded);
  expect(near.decoded('a')).toBeUndefined();
  near.put('a', 'value', 0);
  near.keep('a', decoded);
  near.put('a', 'value', 1000);
  expect(near.decoded('a')).toBe(decoded);
  near.put('b', 'value', 1001);
  near.put('c', 'value', 1002);
  expect([near.size, near.has('a'), near.decoded('a')]).toEqual([2, false, undefined]);
});

test('never more than the most, and the young ones stay', () => {
  const near = createNearCopies<number>(TTL, 5000);
  for (let i = 0; i < 20_000; i += 1) near.put(`key ${i}`, i, i / 100);
  expect(near.size).toBeLessThanOrEqual(5000);
  // At 200 ms all that began after 150 would still be good, and the last 5,000 of them have room.
  for (let i = 15_001; i < 20_000; i += 1) expect(near.peek(`key ${i}`, 199.99)).toBe(i);
});

test('after a burst the expired go, two with each new one, and those in use stay', () => {
  const near = createNearCopies<number>(TTL, 10_000);
  for (let i = 0; i < 8000; i += 1) near.put(`key ${i}`, i, 0);
  expect(near.size).toBe(8000);
  for (let i = 0; i < 8000; i += 1) {
    near.put('in use', i, 1000);
    near.put(`new ${i}`, i, 1000 + i);
    near.put('in use', i, 1000 + i);
    expect(near.peek('in use', 1000 + i)).toBe(i);
  }
  expect(near.size).toBeLessThanOrEqual(2048 + TTL);
});
