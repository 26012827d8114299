import { backoffMs, createLifecycle, TimeoutError, withTimeout } from '../../src/lifecycle';
import { createLogger } from '../../src/observability/logger';

const log = createLogger({ level: 'silent' });

test('closes in reverse order, once', async () => {
  const closed: string[] = [];
  const lifecycle = createLifecycle({ deadlineMs: 1000, log });
  for (const name of ['database', 'cache', 'server']) lifecycle.own(name, { close: async () => void closed.push(name) });
  expect(await Promise.all([lifecycle.close(), lifecycle.close()])).toEqual([{ clean: true }, { clean: true }]);
  expect(closed).toEqual(['server', 'cache', 'database']);
});

test('one that hangs or throws does not keep the others open', async () => {
  const closed: string[] = [];
  const lifecycle = createLifecycle({ deadlineMs: 100, log });
  lifecycle.own('database', { close: async () => void closed.push('database') });
  lifecycle.own('stuck', { close: () => new Promise(() => undefined) });
  lifecycle.own('broken', { close: () => Promise.reject(new Error('broken')) });
  expect(await lifecycle.close()).toEqual({ clean: false });
  expect(closed).toEqual(['database']);
});

test('withTimeout rejects in time and passes results on', async () => {
  await expect(withTimeout(new Promise(() => undefined), 10, 'nothing')).rejects.toThrow(TimeoutError);
  await expect(withTimeout(Promise.resolve(7), 10, 'seven')).resolves.toBe(7);
});

test('back-off doubles between half and all of the step, up to its cap', () => {
  expect([0, 1, 2, 3].map((n) => backoffMs(n, 100, 500, () => 1))).toEqual([100, 200, 400, 500]);
  expect(backoffMs(3, 100, 500, () => 0)).toBe(250);
  expect(backoffMs(1e6, 100, 500, () => 1)).toBe(500);
});
