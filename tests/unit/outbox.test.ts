import { createOutbox } from '../../src/auth/outbox';
import { createLogger } from '../../src/observability/logger';
import { createMetrics } from '../../src/observability/metrics';

const outboxOf = (queueMax: number, metrics = createMetrics()) =>
  createOutbox({ queueMax, closeTimeoutMs: 1000, log: createLogger({ level: 'silent' }), metrics });

test('runs what it is given, a failure among it notwithstanding, and closes when all is done', async () => {
  const metrics = createMetrics();
  const outbox = outboxOf(100, metrics);
  let done = 0;
  for (let i = 0; i < 20; i += 1) {
    outbox.enqueue('mail', async () => {
      await new Promise((resolve) => setImmediate(resolve));
      if (i === 3) throw new Error('no such mailbox');
      done += 1;
    });
  }
  await outbox.close();
  expect(done).toBe(19);
  const text = await metrics.getSingleMetricAsString('auth_outbox_jobs_total');
  expect(text).toContain('result="failure"} 1');
  expect(text).toContain('result="success"} 19');
});

test('is bounded, and runs two at a time', async () => {
  const outbox = outboxOf(3);
  const ends: (() => void)[] = [];
  const job = () => new Promise<void>((resolve) => ends.push(resolve));
  expect(Array.from({ length: 7 }, () => outbox.enqueue('mail', job))).toEqual([true, true, true, true, true, false, false]);
  expect(ends).toHaveLength(2);
  while (ends.length > 0) {
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(ends.length).toBeLessThanOrEqual(2);
  }
  await outbox.close();
});

test('does not wait for ever for what hangs', async () => {
  const outbox = createOutbox({ queueMax: 1, closeTimeoutMs: 20, log: createLogger({ level: 'silent' }), metrics: createMetrics() });
  outbox.enqueue('mail', () => new Promise(() => undefined));
  await expect(outbox.close()).rejects.toThrow(/took longer/);
});
