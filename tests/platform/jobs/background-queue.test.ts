import { createBackgroundQueue } from '../../../src/platform/jobs/background-queue';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { createMetrics } from '../../../src/platform/telemetry/metrics';

const queueOf = (queueMax: number, metrics = createMetrics()) =>
  createBackgroundQueue({
    names: ['mail', 'notice'],
    queueMax,
    closeTimeoutMs: 1000,
    log: createLogger({ level: 'silent' }),
    metrics,
    retryBaseMs: 1,
  });

test('a failed job does not stop the others, and close waits for all of them', async () => {
  const metrics = createMetrics();
  const backgroundQueue = queueOf(100, metrics);
  let done = 0;
  for (let i = 0; i < 20; i += 1) {
    backgroundQueue.enqueue('mail', async () => {
      await new Promise((resolve) => setImmediate(resolve));
      if (i === 3) throw new Error('no such mailbox');
      done += 1;
    });
  }
  await backgroundQueue.close();
  expect(done).toBe(19);
  const text = await metrics.getSingleMetricAsString('auth_background_jobs_total');
  expect(text).toContain('result="failure"} 1');
  expect(text).toContain('result="success"} 19');
});

test('every name and result is in the metrics from the start', async () => {
  const metrics = createMetrics();
  queueOf(1, metrics);
  const text = await metrics.getSingleMetricAsString('auth_background_jobs_total');
  for (const name of ['mail', 'notice'])
    for (const result of ['success', 'failure', 'dropped'])
      expect(text).toContain(`{name="${name}",result="${result}"} 0`);
});

test('the queue is bounded, and two jobs run at a time', async () => {
  const backgroundQueue = queueOf(3);
  const ends: (() => void)[] = [];
  const job = () => new Promise<void>((resolve) => ends.push(resolve));
  expect(Array.from({ length: 7 }, () => backgroundQueue.enqueue('mail', job))).toEqual([
    true,
    true,
    true,
    true,
    true,
    false,
    false,
  ]);
  expect(ends).toHaveLength(2);
  while (ends.length > 0) {
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(ends.length).toBeLessThanOrEqual(2);
  }
  await backgroundQueue.close();
});

test('close does not wait for a hanging job past its deadline', async () => {
  const backgroundQueue = createBackgroundQueue({
    names: ['mail'],
    queueMax: 1,
    closeTimeoutMs: 20,
    log: createLogger({ level: 'silent' }),
    metrics: createMetrics(),
  });
  backgroundQueue.enqueue('mail', () => new Promise(() => undefined));
  await expect(backgroundQueue.close()).rejects.toThrow(/took longer/);
});

test('no name fills or delays the queue of another', async () => {
  const backgroundQueue = queueOf(3);
  const order: string[] = [];
  const job = (name: string) => async () => {
    order.push(name);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const enqueue = (name: string) => backgroundQueue.enqueue(name, job(name));
  expect(Array.from({ length: 6 }, () => enqueue('notice'))).toEqual([
    true,
    true,
    true,
    true,
    true,
    false,
  ]);
  expect([enqueue('reset'), enqueue('reset')]).toEqual([true, true]);
  await backgroundQueue.close();
  expect(order).toEqual(['notice', 'notice', 'notice', 'reset', 'notice', 'reset', 'notice']);
});

test('a failed job is retried, and given up after five attempts', async () => {
  const metrics = createMetrics();
  const backgroundQueue = queueOf(3, metrics);
  const attempts = { mends: 0, hopeless: 0 };
  backgroundQueue.enqueue('mends', async () => {
    attempts.mends += 1;
    if (attempts.mends < 3) throw new Error('the database is away');
  });
  backgroundQueue.enqueue('hopeless', async () => {
    attempts.hopeless += 1;
    throw new Error('the database is away');
  });
  await backgroundQueue.close();
  expect(attempts).toEqual({ mends: 3, hopeless: 5 });
  const text = await metrics.getSingleMetricAsString('auth_background_jobs_total');
  expect(text).toContain('name="mends",result="success"} 1');
  expect(text).toContain('name="hopeless",result="failure"} 1');
});
