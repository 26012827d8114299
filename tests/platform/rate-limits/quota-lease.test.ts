import { setTimeout as delay } from 'node:timers/promises';
import type { Counters } from '../../../src/platform/counters/counters';
import { createQuotaLease, type QuotaLease } from '../../../src/platform/rate-limits/quota-lease';

const WINDOW_MS = 60_000;
/** In the middle of a window. */
const NOW = 1_700_000_000_000 - (1_700_000_000_000 % WINDOW_MS) + 30_000;

interface Shared extends Counters {
  trips: number;
  broken: boolean;
  nowMs: number;
}

/**
 * What all workers share, answering a turn of the event loop later, as a store over the network
 * does.
 */
function sharedCounters(): Shared {
  const totals = new Map<string, number>();
  const shared: Shared = {
    trips: 0,
    broken: false,
    nowMs: NOW,
    async add(key, amount, windowMs) {
      shared.trips += 1;
      const index = Math.floor(shared.nowMs / windowMs);
      const id = `${key}:${index}`;
      totals.set(id, (totals.get(id) ?? 0) + amount);
      const total = totals.get(id) ?? 0;
      await new Promise((resolve) => setImmediate(resolve));
      if (shared.broken) throw new Error('the store is away');
      return { total, resetsAtMs: (index + 1) * windowMs };
    },
    async reset() {
      totals.clear();
    },
  };
  return shared;
}

function workersOn(counters: Shared, count: number, limit: number): QuotaLease[] {
  const options = {
    name: 'test',
    limit,
    windowMs: WINDOW_MS,
    counters,
    workers: () => count,
    now: () => counters.nowMs,
  };
  return Array.from({ length: count }, () => createQuotaLease(options));
}

/** `count` requests, `atOnce` at a time, over the workers in turn. */
async function allowed(
  workers: readonly QuotaLease[],
  count: number,
  atOnce: number,
  key = 'client',
): Promise<number> {
  let passed = 0;
  for (let sent = 0; sent < count; sent += atOnce) {
    const batch = Array.from({ length: Math.min(atOnce, count - sent) }, (_, i) =>
      workers[(sent + i) % workers.length]?.take(key),
    );
    for (const decision of await Promise.all(batch)) if (decision?.allowed === true) passed += 1;
  }
  return passed;
}

describe.each([1, 2, 4, 8])('%i workers', (count) => {
  test.each([1, 5, 20])('a small limit of %i is exact', async (limit) => {
    expect(await allowed(workersOn(sharedCounters(), count, limit), 200, 1)).toBe(limit);
    expect(await allowed(workersOn(sharedCounters(), count, limit), 200, 50)).toBe(limit);
  });

  test.each([
    [6000, 1],
    [6000, 64],
    [100_000, 500],
  ])(
    'a limit of %i, %i requests at a time: never more, and at most 2 %% less',
    async (limit, atOnce) => {
      const passed = await allowed(
        workersOn(sharedCounters(), count, limit),
        Math.ceil(limit * 1.2),
        atOnce,
      );
      expect(passed).toBeLessThanOrEqual(limit);
      expect(passed).toBeGreaterThanOrEqual(limit * 0.98);
    },
  );
});

test('one worker gives out the whole limit, whatever the others might want', async () => {
  const [only] = workersOn(sharedCounters(), 4, 6000);
  expect(await allowed([only as QuotaLease], 7000, 10)).toBe(6000);
});

test('a busy client costs a round trip per block, not per request', async () => {
  const counters = sharedCounters();
  expect(await allowed(workersOn(counters, 1, 1_000_000), 50_000, 16)).toBe(50_000);
  expect(counters.trips).toBeLessThan(50);
});

test('a decision is there at once while reserved requests are left', async () => {
  const [worker] = workersOn(sharedCounters(), 1, 1_000_000) as [QuotaLease];
  await allowed([worker], 100, 1);
  expect(worker.take('client')).toEqual({
    allowed: true,
    remaining: 1_000_000 - 101,
    resetsAtMs: NOW + 30_000,
  });
});

test('a spent window refuses at once, and the next one starts anew', async () => {
  const counters = sharedCounters();
  const [worker] = workersOn(counters, 1, 100) as [QuotaLease];
  expect(await allowed([worker], 150, 10)).toBe(100);
  expect(worker.take('client')).toEqual({ allowed: false, remaining: 0, resetsAtMs: NOW + 30_000 });
  counters.nowMs = NOW + 30_000;
  expect(await allowed([worker], 150, 10)).toBe(100);
});

test('a block reserved in one window and answered in the next is not used there', async () => {
  const counters = sharedCounters();
  const [worker] = workersOn(counters, 1, 10) as [QuotaLease];
  counters.nowMs = NOW + 29_999;
  const late = worker.take('client');
  counters.nowMs = NOW + 30_000;
  expect(await late).toMatchObject({ allowed: true });
  expect(await allowed([worker], 50, 5)).toBe(9);
});

test('a clock that is set back opens its window again, without a flood of round trips', async () => {
  const counters = sharedCounters();
  const [worker] = workersOn(counters, 1, 10) as [QuotaLease];
  expect(await allowed([worker], 4, 1)).toBe(4);
  counters.nowMs = NOW - WINDOW_MS;
  const decision = await Promise.race([worker.take('another client'), delay(1000)]);
  // Ends the loop where it never would.
  counters.broken = true;
  expect(decision).toEqual({ allowed: true, remaining: 9, resetsAtMs: NOW - 30_000 });
  expect(counters.trips).toBeLessThan(10);
});

test('a client at its limit has the limit of an earlier window, when the clock is set back', async () => {
  const counters = sharedCounters();
  const [worker] = workersOn(counters, 1, 10) as [QuotaLease];
  expect(await allowed([worker], 20, 1)).toBe(10);
  counters.nowMs = NOW - WINDOW_MS;
  expect(await allowed([worker], 20, 1)).toBe(10);
});

test('clients do not share', async () => {
  const workers = workersOn(sharedCounters(), 2, 10);
  expect(await allowed(workers, 30, 3, 'one')).toBe(10);
  expect(await allowed(workers, 30, 3, 'other')).toBe(10);
});

test('while the counters are away requests pass, and are counted again afterwards', async () => {
  const counters = sharedCounters();
  const workers = workersOn(counters, 2, 10);
  counters.broken = true;
  expect(await allowed(workers, 40, 4)).toBe(40);
  counters.broken = false;
  expect(await allowed(workers, 40, 4, 'another client')).toBe(10);
});
