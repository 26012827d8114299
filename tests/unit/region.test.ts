import { createCounts } from '../../src/cache/counts';
import { createRegion } from '../../src/cache/region';
import type { Found, SharedCopies } from '../../src/cache/shared';

const TTL = 50;
const CHUNK = 100_000;

/** A region over a Redis that says what the test says; its answers are parts of a chunk. */
function startRegion() {
  const state = { at: 0, text: '1', decodes: 0, loads: 0 };
  const read = async (): Promise<Found> => {
    const big = Buffer.alloc(CHUNK, state.text);
    return { kind: 'value', bytes: big.subarray(0, state.text.length) };
  };
  const region = createRegion<{ text: string; bytes: Buffer }>(
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
      nearTtlMs: TTL,
      nearMaxEntries: 10,
      joinMs: TTL,
      counts: createCounts(undefined, { nearCopies: () => 0, outstanding: () => 0, breakerOpen: () => false, sharedInUse: () => true }),
      shared: { read } as unknown as SharedCopies,
      stamps: undefined,
      generation: () => 'g',
      ttlMs: () => 1000,
    },
  );
  const later = async () => {
    state.at += TTL;
    return (await region.get('a'))?.text;
  };
  return { state, region, later };
}

test('the same bytes are decoded no more than twice, other bytes at once', async () => {
  const { state, later } = startRegion();
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

test('what is kept is no part of what Redis said with it', async () => {
  const { region, later } = startRegion();
  await later();
  await later();
  expect(region.peek('a')?.bytes.buffer.byteLength).toBeLessThan(CHUNK);
});

test('bytes that cannot be decoded are a miss each time', async () => {
  const { state, later } = startRegion();
  expect(await later()).toBe('1');
  state.text = 'bad';
  expect([await later(), await later()]).toEqual(['loaded', 'loaded']);
  state.text = '1';
  expect(await later()).toBe('1');
  expect(state.loads).toBe(2);
});
