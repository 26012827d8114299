import {
  backoffMs,
  createLifecycle,
  jittered,
  repeatedly,
  TimeoutError,
  withTimeout,
} from '../../src/kernel/lifecycle';
import { createLogger } from '../../src/platform/telemetry/logger';

const log = createLogger({ level: 'silent' });

test('resources close in reverse order, once', async () => {
  const closed: string[] = [];
  const lifecycle = createLifecycle({ deadlineMs: 1000, log });
  for (const name of ['database', 'cache', 'server'])
    lifecycle.own(name, { close: async () => void closed.push(name) });
  expect(await Promise.all([lifecycle.close(), lifecycle.close()])).toEqual([
    { clean: true },
    { clean: true },
  ]);
  expect(closed).toEqual(['server', 'cache', 'database']);
});

test('the others close although one resource hangs or throws', async () => {
  const closed: string[] = [];
  const lifecycle = createLifecycle({ deadlineMs: 100, log });
  lifecycle.own('database', { close: async () => void closed.push('database') });
  lifecycle.own('stuck', { close: () => new Promise(() => undefined) });
  lifecycle.own('broken', { close: () => Promise.reject(new Error('broken')) });
  expect(await lifecycle.close()).toEqual({ clean: false });
  expect(closed).toEqual(['database']);
});

test('withTimeout rejects after its timeout and passes results through', async () => {
  await expect(withTimeout(new Promise(() => undefined), 10, 'nothing')).rejects.toThrow(
    TimeoutError,
  );
  await expect(withTimeout(Promise.resolve(7), 10, 'seven')).resolves.toBe(7);
});

test('the backoff doubles with jitter, up to its maximum', () => {
  expect([0, 1, 2, 3].map((n) => backoffMs(n, 100, 500, () => 1))).toEqual([100, 200, 400, 500]);
  expect(backoffMs(3, 100, 500, () => 0)).toBe(250);
  expect(backoffMs(1e6, 100, 500, () => 1)).toBe(500);
});

test('work is repeated after a failure, and a close waits for the work under way', async () => {
  const failures: unknown[] = [];
  let runs = 0;
  let isEnded = false;
  const resource = repeatedly(
    () => 1,
    async (signal) => {
      runs += 1;
      if (runs === 1) throw new Error('the first');
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      isEnded = true;
    },
    (error) => failures.push(error),
  );
  while (runs < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  await resource.close();
  expect(isEnded).toBe(true);
  expect(failures).toEqual([new Error('the first')]);
  expect(runs).toBe(2);
});

test('a jittered time stays within its share', () => {
  const times = Array.from({ length: 1000 }, () => jittered(100, 0.5));
  expect(Math.min(...times)).toBeGreaterThanOrEqual(50);
  expect(Math.max(...times)).toBeLessThan(150);
  expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(50);
});
