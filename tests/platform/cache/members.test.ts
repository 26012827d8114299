import { expiryOf } from '../../../src/platform/cache/entry-lifetime';
import { createCacheMembers } from '../../../src/platform/cache/members';
import { type MemoryEpochStore, memoryEpochStore, quiet } from '../../support/cache-fixture';

const VALID_MS = 1500;
let at: number;
let epochStore: MemoryEpochStore;

/** One process on a clock that the test sets. */
function start(nearTtlMs: number, { isTool = false, cache = 'here' } = {}) {
  const members = createCacheMembers({
    epochStore,
    settings: { nearTtlMs, cache },
    isTool,
    validMs: VALID_MS,
    log: quiet,
    now: () => at,
  });
  const poll = async (): Promise<void> => {
    const began = at;
    members.observe((await epochStore.read()).members, began);
    await members.maintain();
  };
  /** Whether an entry that is read now may be served a millisecond later. */
  const keeps = (): boolean => expiryOf(members.lifetime, at) > at + 1;
  return { members, poll, keeps };
}

type Started = ReturnType<typeof start>;

async function pass(ms: number, ...processes: Started[]): Promise<void> {
  for (const end = at + ms; at < end; ) {
    at += 300;
    for (const one of processes) await one.poll();
  }
}

beforeEach(() => {
  at = 1000;
  epochStore = memoryEpochStore({ settled: false });
});

test('a new member keeps no local entries until every writer knows of it, nor any read before that', async () => {
  const one = start(50);
  await one.poll();
  const early = at;
  await pass(VALID_MS - 300, one);
  expect(one.keeps()).toBe(false);
  await pass(900, one);
  expect(one.keeps()).toBe(true);
  expect(expiryOf(one.members.lifetime, early)).toBe(Number.NEGATIVE_INFINITY);
});

test('another process of a known member keeps local entries at once', async () => {
  const one = start(50);
  await pass(3000, one);
  const next = start(50);
  await next.poll();
  expect(next.keeps()).toBe(true);
});

test('writers wait for the greatest τ of all members, their own included', async () => {
  const [long, short, tool] = [start(400), start(10), start(0, { isTool: true })];
  expect([short.members.greatestTtlMs(), tool.members.greatestTtlMs()]).toEqual([10, 0]);
  await pass(600, long, short, tool);
  expect([long, short, tool].map(({ members }) => members.greatestTtlMs())).toEqual([
    400, 400, 400,
  ]);
});

test('a member is removed only after its local entries have expired', async () => {
  const [leaver, stays] = [start(400), start(10)];
  await pass(3000, leaver, stays);
  let keptUntil = at;
  // The leaver reads nothing any more, and goes on serving.
  while (stays.members.greatestTtlMs() === 400) {
    await pass(300, stays);
    if (leaver.keeps()) keptUntil = at;
  }
  expect(at).toBeGreaterThan(keptUntil + 400);
  expect(at - keptUntil).toBeLessThan(10_000);
});

test('a member that was removed meanwhile registers again', async () => {
  const [frozen, stays] = [start(400), start(10)];
  await pass(3000, frozen, stays);
  const before = at;
  await pass(60_000, stays);
  expect(stays.members.greatestTtlMs()).toBe(10);
  expect(frozen.keeps()).toBe(false);
  await frozen.poll();
  await frozen.poll();
  expect(frozen.keeps()).toBe(false);
  await pass(2400, frozen, stays);
  expect(frozen.keeps()).toBe(true);
  expect(expiryOf(frozen.members.lifetime, before)).toBe(Number.NEGATIVE_INFINITY);
  expect(stays.members.greatestTtlMs()).toBe(400);
});

test('one heartbeat serves all processes of a member', async () => {
  const many = Array.from({ length: 20 }, () => start(50));
  await pass(60_000, ...many);
  expect(many.every((one) => one.keeps())).toBe(true);
  const [member] = epochStore.members.values();
  expect(member?.beat).toBeLessThan(60);
});

test('a process with another cache is foreign, one with another τ is not', async () => {
  const [one, same, other] = [start(50), start(0), start(50, { cache: 'elsewhere' })];
  await pass(600, one, same, other);
  expect([one, same, other].map(({ members }) => members.foreign())).toEqual([
    ['elsewhere'],
    ['elsewhere'],
    ['here'],
  ]);
});
