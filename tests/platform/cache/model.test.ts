import { explore, PROTOCOL, type Protocol } from '../../support/cache-model';
import type { World } from '../../support/cache-model-world';

const world: World = {
  readers: [0, 0],
  workers: 1,
  writers: 1,
  evictions: 0,
  flushes: 0,
  crashes: 0,
};
const quick: Protocol = { ...PROTOCOL, tau: 1, joinBelow: 1 };
const distributed: World = { ...world, readers: [0, 0, 1], workers: 2 };
const twoWriters: World = { ...world, readers: [0, 1], workers: 2, writers: 2 };

describe('the protocol over every interleaving of one key', () => {
  it.each([
    ['three readers of two workers and a writer', quick, distributed],
    ['a longer τ', PROTOCOL, { ...world, crashes: 1, evictions: 1 }],
    ['two writers, one killed anywhere', quick, { ...twoWriters, crashes: 1 }],
    ['two evictions and a crash', quick, { ...twoWriters, writers: 1, evictions: 2, crashes: 1 }],
    [
      'a flush of Redis in the middle of two writes',
      quick,
      { ...twoWriters, readers: [0, 0], workers: 1, flushes: 1 },
    ],
  ])('never answers stale with %s', (_name, protocol, given) => {
    const verdict = explore(protocol, given);
    expect(verdict.stale).toBeUndefined();
    expect(verdict.states).toBeGreaterThan(1000);
    if (given.flushes === 0) expect(verdict.stuck).toBeUndefined();
    expect(verdict.barred).toBeUndefined();
  });

  const withLocal: Protocol = { ...PROTOCOL, tau: 1, joinBelow: 1, lease: false, wait: false };
  const none: Protocol = { ...withLocal, tau: 0, joinBelow: 0 };
  const plain: World = { ...world, readers: [0, 0, 1], workers: 2 };
  it.each<[string, Protocol, World]>([
    ['cache-aside that deletes after the commit', { ...none, write: 'delete-after' }, plain],
    ['cache-aside that deletes before the commit', { ...none, write: 'delete-before' }, plain],
    ['cache-aside that deletes twice', { ...none, write: 'delete-twice' }, plain],
    ['write-through', { ...none, write: 'write-through' }, { ...plain, writers: 2 }],
    [
      'local entries invalidated by messages (RESP3 tracking)',
      { ...withLocal, lease: true, tau: Number.POSITIVE_INFINITY, write: 'tracking' },
      plain,
    ],
    ['no lease', { ...quick, lease: false }, plain],
    ['no wait', { ...quick, wait: false }, plain],
    ['joining a read of any age', { ...quick, joinBelow: Number.POSITIVE_INFINITY }, plain],
  ])('finds %s stale', (_name, protocol, given) => {
    const verdict = explore(protocol, given);
    expect(verdict.stale).toBeDefined();
  });

  describe('local entries renewed by invalidation counters', () => {
    const counting: World = { ...world, looks: 1 };
    it.each([
      ['an entry that never reaches Redis', { ...counting, lostEntries: 1 }],
      ['a writer that is killed', { ...counting, crashes: 1 }],
    ])(
      'never stale, and no old entry renewed for ever, with %s',
      (_name, given) => {
        const verdict = explore(quick, given);
        expect(verdict.states).toBeGreaterThan(40_000);
        expect([verdict.stale, verdict.stuck, verdict.barred]).toEqual([
          undefined,
          undefined,
          undefined,
        ]);
      },
      60_000,
    );

    it.each<[string, Protocol, World]>([
      [
        'writers increment the counters before they drop the Redis entries',
        { ...quick, increments: 'before' },
        { ...counting, lostEntries: 1 },
      ],
      [
        'writers that leave do not increment the counters',
        { ...quick, increments: 'never' },
        { ...counting, lostEntries: 1 },
      ],
      ['a snapshot is taken when the read has ended', { ...quick, snapshotFirst: false }, counting],
      [
        'entries read beside a writer are renewed',
        { ...quick, renewableOnly: false },
        { ...counting, crashes: 1 },
      ],
    ])(
      'finds an old entry renewed for ever when %s',
      (_name, protocol, given) => {
        const verdict = explore(protocol, given);
        expect(verdict.stale ?? verdict.stuck).toBeDefined();
      },
      60_000,
    );
  });

  it('finds that a writer whose entry never expires bars the key for good', () => {
    expect(explore({ ...quick, entriesExpire: false }, { ...world, crashes: 1 }).barred).toContain(
      'writer 0 is killed',
    );
  });
  it('finds that a writer that leaves no entry and is killed leaves a stale entry behind', () => {
    expect(
      explore({ ...quick, write: 'delete-twice' }, { ...world, crashes: 1 }).stuck,
    ).toBeDefined();
  });
});
