import { setTimeout as pause } from 'node:timers/promises';
import {
  currentWork,
  forRequest,
  type Requested,
  timed,
} from '../../../src/platform/telemetry/request-work';

const request = (correlationId: string): Requested => ({ correlationId, work: undefined });

test('waits of two requests at once are counted apart', async () => {
  const [slow, fast] = [request('slow'), request('fast')];
  await Promise.all([
    forRequest(slow, async () => {
      await timed('mongodb', () => pause(600));
      await timed('redis', () => pause(20));
    }),
    forRequest(fast, () => timed('mongodb', () => pause(5))),
  ]);
  const [ofSlow, ofFast] = [slow.work?.finish() ?? {}, fast.work?.finish() ?? {}];
  expect(ofSlow['mongodb_ms']).toBeGreaterThan(590);
  expect(ofSlow['redis_ms']).toBeGreaterThan(15);
  expect(Object.keys(ofFast)).toEqual(['mongodb_ms']);
  expect(ofFast['mongodb_ms']).toBeLessThan(ofSlow['mongodb_ms'] ?? 0);
});

test('waits of one kind at the same time count once', async () => {
  const one = request('one');
  const began = performance.now();
  await forRequest(one, () =>
    Promise.all([1, 2, 3, 4].map(() => timed('mongodb', () => pause(200)))),
  );
  const passedMs = performance.now() - began;
  expect(one.work?.finish()['mongodb_ms']).toBeLessThanOrEqual(passedMs);
});

test('a wait that goes on counts up to the end of the response, and nothing after it', async () => {
  const one = request('one');
  const seen: (string | undefined)[] = [];
  const late = forRequest(one, async () => {
    seen.push(currentWork()?.id);
    await timed('mongodb', () => pause(300));
    seen.push(currentWork()?.id);
    await timed('redis', () => pause(1));
  });
  await pause(20);
  const fields = one.work?.finish() ?? {};
  await late;
  expect(fields['mongodb_ms']).toBeGreaterThan(10);
  expect(one.work?.finish()).toEqual(fields);
  expect(seen).toEqual(['one', undefined]);
});

test('a failure ends its wait', async () => {
  const one = request('one');
  const failing = forRequest(one, () =>
    timed('redis', async () => {
      throw new Error('away');
    }),
  );
  await expect(failing).rejects.toThrow('away');
  const first = one.work?.finish();
  await pause(5);
  expect(one.work?.finish()).toEqual(first);
});

test('without a request nothing is counted', async () => {
  expect(currentWork()).toBeUndefined();
  expect(await timed('mongodb', async () => 'value')).toBe('value');
});
