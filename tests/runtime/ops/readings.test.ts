import { createServer } from 'node:http';
import { AggregatorRegistry, Counter, Histogram, Registry } from 'prom-client';
import { createEarlyAnswers } from '../../../src/platform/http/early-answers';
import { createAdmission } from '../../../src/platform/shedding/admission';
import { exposeProcess } from '../../../src/platform/telemetry/process-metrics';
import { createRecentLines } from '../../../src/platform/telemetry/recent-lines';
import { createHistory } from '../../../src/runtime/ops/history';
import { pointOf, read } from '../../../src/runtime/ops/readings';
import { startTestService } from '../../support/app';
import { createClient, login } from '../../support/http';
import { withServer } from '../../support/with-server';

function service() {
  const registry = new Registry();
  const registers = [registry];
  const duration = new Histogram({
    ...{ name: 'http_request_duration_seconds', help: 'h', registers },
    ...{ labelNames: ['method', 'route', 'status'], buckets: [0.01, 0.1, 1] },
  });
  const shed = new Counter({
    ...{ name: 'http_requests_shed_total', help: 'h', registers, labelNames: ['reason'] },
  });
  const hits = new Counter({ name: 'cache_local_hits_total', help: 'h', registers });
  return { registry, duration, shed, hits };
}
const labels = { method: 'GET', route: '/x', status: 200 };

test('a point holds the rates and percentiles between two readings', async () => {
  const { registry, duration, shed, hits } = service();
  duration.observe(labels, 0.9);
  const before = read(await registry.getMetricsAsJSON(), 1_000);
  for (let i = 0; i < 90; i += 1) duration.observe(labels, 0.005);
  for (let i = 0; i < 10; i += 1) duration.observe({ ...labels, status: 503 }, 0.05);
  shed.inc({ reason: 'loop' }, 5);
  hits.inc(40);
  const after = read(await registry.getMetricsAsJSON(), 11_000);
  const point = pointOf(before, after);
  expect(point).toMatchObject({ at: 11, ok: 9, serverErrors: 1, refused: 0.5, local: 4 });
  expect(point.p50).toBeCloseTo((50 / 90) * 10, 5);
  expect(point.p99).toBeCloseTo(10 + 0.9 * 90, 5);
  expect(after.refused['overload: loop']).toBe(5);
  expect(pointOf(after, after).p50).toBeNull();
});

test('the percentiles leave out a request that is held by design', async () => {
  const one = await startTestService();
  const now = async (atMs: number) => read(await one.metrics.getMetricsAsJSON(), atMs);
  try {
    const client = createClient(one.baseUrl);
    const token = await login(client, one.admin.email, one.admin.password);
    const before = await now(1000);
    const held = await client('GET', '/api/auth/revocations?wait=400', { token });
    expect(held.status).toBe(200);
    const point = pointOf(before, await now(2000));
    expect(point).toMatchObject({ ok: 1, p50: null, p99: null });
    await client('GET', '/api/auth/profile', { token });
    expect(pointOf(before, await now(2000)).p99).toEqual(expect.any(Number));
  } finally {
    await one.close();
  }
});

test('a request that is refused because of overload counts once', async () => {
  const metrics = new Registry();
  const admission = createAdmission({
    limits: { inFlightMax: 0, loopBudgetMs: 1000 },
    exempt: new Set(),
    early: createEarlyAnswers({ metrics }),
    metrics,
  });
  await withServer(createServer(admission.wrap(() => {})), async (port) => {
    expect((await fetch(`http://127.0.0.1:${port}`)).status).toBe(503);
  });
  const { refused } = read(await metrics.getMetricsAsJSON(), 0);
  expect(Object.entries(refused).filter(([, count]) => count > 0)).toEqual([
    ['overload: in_flight', 1],
  ]);
});

test('the history is bounded to one hour', async () => {
  const { registry } = service();
  jest.useFakeTimers({ doNotFake: ['performance'] });
  const history = createHistory({
    collect: async () => registry.getMetricsAsJSON(),
    onPoint: () => {},
    always: true,
    now: Date.now,
  });
  try {
    await jest.advanceTimersByTimeAsync(2 * 3_600_000);
    expect(history.points().length).toBeLessThanOrEqual(181);
    expect(history.points().length).toBeGreaterThan(150);
    // The clock is set back: all points lie in the future.
    history.watch(true);
    jest.setSystemTime(Date.now() - 86_400_000);
    await jest.advanceTimersByTimeAsync(2 * 3_600_000);
    expect(history.points().length).toBeLessThanOrEqual(240);
  } finally {
    history.close();
    jest.useRealTimers();
  }
});

test('the last 200 warnings are kept, and the lines that supervision writes', () => {
  const written: string[] = [];
  const recent = createRecentLines((line) => line.includes('workerPid'));
  const log = recent.tap({ write: (line) => void written.push(line) });
  const line = (level: string, fields: object) =>
    log.write(`${JSON.stringify({ level, time: 't', pid: 1, msg: 'm', ...fields })}\n`);
  line('info', {});
  line('info', { workerPid: 5, worker: 2 });
  expect(recent.lines()).toEqual([{ time: 't', level: 'info', msg: 'm', pid: 1, worker: 2 }]);
  for (let i = 0; i < 300; i += 1) line('warn', { attempt: i });
  expect(written).toHaveLength(302);
  expect(recent.lines()).toHaveLength(200);
  expect(recent.lines().at(-1)).toMatchObject({ level: 'warn', detail: 'attempt=299' });
});

test('open files and their limit are those of one process, not the sum of all', async () => {
  const one = new Registry();
  exposeProcess(one, '1.0.0');
  const snapshot = await one.getMetricsAsJSON();
  const valueIn = async (registry: Pick<Registry, 'getSingleMetric'>, name: string) =>
    (await registry.getSingleMetric(name)?.get())?.values[0]?.value;
  const both = AggregatorRegistry.aggregate([snapshot, snapshot]);
  for (const name of ['process_open_fds', 'process_max_fds']) {
    const own = snapshot.find((metric) => metric.name === name)?.values[0]?.value;
    expect(own).toBeGreaterThan(2);
    expect(await valueIn(both, name)).toBe(own);
  }
});
