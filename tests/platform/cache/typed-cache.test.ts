import { createCounts } from '../../../src/platform/cache/cache-metrics';
import { soleLifetime } from '../../../src/platform/cache/entry-lifetime';
import type { Found, RedisEntries } from '../../../src/platform/cache/redis-entries';
import { createTypedCache } from '../../../src/platform/cache/typed-cache';

const TTL = 50;
const CHUNK = 100_000;

/** A typed cache over a Redis that gives the test's reply, as a slice of a large chunk. */
function startTyped() {
  const state = { at: 0, text: '1', decodes: 0, loads: 0 };
  const read = async (): Promise<Found> => {
    const big = Buffer.alloc(CHUNK, state.text);
    return { kind: 'value', bytes: big.subarray(0, state.text.length) };
  };
  const typed = createTypedCache<{ text: string; bytes: Buffer }>(
    {
      name: 'test.v1',
      group: (key) => `test:${key}`,
      load: async () => {
        state.loads += 1;
        return { text: 'loaded', bytes: Buffer.from('loaded') };
      },
      encode: ({ bytes }) => bytes,
      decode(bytes) {
        state.decodes += 1;
        if (bytes.toString() === 'bad') throw new Error('bad');
        return { text: bytes.toString(), bytes };
      },
    },
    {
      now: () => state.at,
      lifetime: soleLifetime(TTL),
      maxLocalEntries: 10,
      counts: createCounts(undefined, {
        localEntries: () => 0,
        outstanding: () => 0,
        breakerOpen: () => false,
        redisEntriesInUse: () => true,
        misdelivered: () => 0,
        writersWaitMs: () => TTL,
      }),
      redisEntries: { read } as unknown as RedisEntries,
      invalidations: undefined,
      generation: () => 'g',
      ttlMs: () => 1000,
      digest: (key) => key,
    },
  );
  const later = async () => {
    state.at += TTL;
    return (await typed.get('a'))?.text;
  };
  return { state, typed, later };
}

test('the same bytes are decoded no more than twice, other bytes at once', async () => {
  const { state, later } = startTyped();
  for (let i = 0; i < 5; i += 1) expect(await later()).toBe('1');
  expect(state.decodes).toBe(2);
  state.text = '2';
  expect(await later()).toBe('2');
  state.text = '1';
  expect(await later()).toBe('1');
  state.text = '11';
  expect(await later()).toBe('11');
  expect([state.decodes, state.loads]).toEqual([5, 0]);
});

test('the kept bytes do not hold on to the chunk that they came in', async () => {
  const { typed, later } = startTyped();
  await later();
  await later();
  expect(typed.peek('a')?.bytes.buffer.byteLength).toBeLessThan(CHUNK);
});

test('bytes that cannot be decoded are a miss each time', async () => {
  const { state, later } = startTyped();
  expect(await later()).toBe('1');
  state.text = 'bad';
  expect([await later(), await later()]).toEqual(['loaded', 'loaded']);
  state.text = '1';
  expect(await later()).toBe('1');
  expect(state.loads).toBe(2);
});
