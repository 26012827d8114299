import { explore, PROTOCOL, type Protocol, type World } from '../support/cache-model';

const world: World = { readers: [0, 0], workers: 1, writers: 1, evictions: 0, flushes: 0, crashes: 0 };
const quick: Protocol = { ...PROTOCOL, tau: 1, joinBelow: 1 };
const distributed: World = { ...world, readers: [0, 0, 1], workers: 2 };
const twoWriters: World = { ...world, readers: [0, 1], workers: 2, writers: 2 };

describe('the protocol over every interleaving of one key', () => {
  it.each([
    ['three readers of two workers and a writer', quick, distributed],
    ['a longer τ', PROTOCOL, { ...world, crashes: 1, evictions: 1 }],
    ['two writers, one killed anywhere', quick, { ...twoWriters, crashes: 1 }],
    ['two evictions and a crash', quick, { ...twoWriters, writers: 1, evictions: 2, crashes: 1 }],
    ['a flush of Redis in the middle of two writes', quick, { ...twoWriters, readers: [0, 0], workers: 1, flushes: 1 }],
  ])('never answers stale with %s', (_name, protocol, given) => {
    const verdict = explore(protocol, given);
    expect(verdict.stale).toBeUndefined();
    expect(verdict.states).toBeGreaterThan(1000);
    if (given.flushes === 0) expect(verdict.stuck).toBeUndefined();
    expect(verdict.barred).toBeUndefined();
  });

  const near: Protocol = { ...PROTOCOL, tau: 1, joinBelow: 1, lease: false, wait: false };
  const none: Protocol = { ...near, tau: 0, joinBelow: 0 };
  const plain: World = { ...world, readers: [0, 0, 1], workers: 2 };
  it.each<[string, Protocol, World]>([
    ['cache-aside that deletes after the commit', { ...none, write: 'delete-after' }, plain],
    ['cache-aside that deletes before the commit', { ...none, write: 'delete-before' }, plain],
    ['cache-aside that deletes twice', { ...none, write: 'delete-twice' }, plain],
    ['write-through', { ...none, write: 'write-through' }, { ...plain, writers: 2 }],
    [
      'near copies invalidated by messages (RESP3 tracking)',
      { ...near, lease: true, tau: Number.POSITIVE_INFINITY, write: 'tracking' },
      plain,
    ],
    ['no lease', { ...quick, lease: false }, plain],
    ['no wait', { ...quick, wait: false }, plain],
    ['joining a read of any age', { ...quick, joinBelow: Number.POSITIVE_INFINITY }, plain],
  ])('finds %s stale', (_name, protocol, given) => {
    const verdict = explore(protocol, given);
    expect(verdict.stale).toBeDefined();
  });

  describe('near copies renewed by write stamps', () => {
    const stamped: World = { ...world, looks: 1 };
    it.each([
      ['an entry that never reaches Redis', { ...stamped, lostEntries: 1 }],
      ['a writer that is killed', { ...stamped, crashes: 1 }],
    ])(
      'never stale, and never renewed for good when old, with %s',
      (_name, given) => {
        const verdict = explore(quick, given);
        expect(verdict.states).toBeGreaterThan(50_000);
        expect([verdict.stale, verdict.stuck, verdict.barred]).toEqual([undefined, undefined, undefined]);
      },
      60_000,
    );

    it.each<[string, Protocol, World]>([
      ['writers count themselves before they drop the shared copies', { ...quick, stamps: 'before' }, { ...stamped, lostEntries: 1 }],
      ['writers that leave do not count themselves', { ...quick, stamps: 'never' }, { ...stamped, lostEntries: 1 }],
      ['a mark is taken when the read has ended', { ...quick, markFirst: false }, stamped],
      ['copies read beside a writer are renewed', { ...quick, settledOnly: false }, { ...stamped, crashes: 1 }],
    ])(
      'finds an old copy renewed for good when %s',
      (_name, protocol, given) => {
        const verdict = explore(protocol, given);
        expect(verdict.stale ?? verdict.stuck).toBeDefined();
      },
      60_000,
    );
  });

  it('finds that a writer whose entry never expires bars the key for good', () => {
    expect(explore({ ...quick, entriesExpire: false }, { ...world, crashes: 1 }).barred).toContain('writer 0 is killed');
  });
  it('finds that a writer that leaves no entry and is killed leaves a stale copy behind', () => {
    expect(explore({ ...quick, write: 'delete-twice' }, { ...world, crashes: 1 }).stuck).toBeDefined();
  });
});
