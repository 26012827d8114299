import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { everyone, nameOfId } from '../../bench/contestants';
import { planCpus } from '../../bench/cpus';
import { isBusy, processorTimes, watchDisturbance } from '../../bench/disturbance';
import { createFigures } from '../../bench/figures';
import { goalRows } from '../../bench/goals';
import { runClosed } from '../../bench/load/closed';
import { emptyHistogram, merge, quantile, record } from '../../bench/load/histogram';
import { completeStatus, runOpen } from '../../bench/load/open';
import { bearer, createSource, eachOf, saveTraffic } from '../../bench/load/traffic';
import { goalTable } from '../../bench/report/table';
import { createSchedule, showTime } from '../../bench/schedule';
import { ratio, seededRandom, spread } from '../../bench/stats';

const folder = mkdtempSync(join(tmpdir(), 'bench-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const ALONE = { index: 0, count: 1 };

test('spread and ratios', () => {
  expect(spread([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 });
  expect(spread([4, 1, 2, 3]).median).toBe(2.5);
  expect(() => spread([])).toThrow('without samples');
  // Turn by turn: a machine that halves its speed in the second turn does not change the ratio.
  expect(ratio([200, 100, 220], [100, 50, 100])).toEqual({ min: 2, median: 2, max: 2.2 });
});

test('quantiles are within the width of a bucket, also of merged histograms', () => {
  const random = seededRandom(1);
  const values = Array.from({ length: 20_000 }, () => Math.exp(random() * 8 - 3));
  const parts = [emptyHistogram(), emptyHistogram(), emptyHistogram()];
  for (const [i, value] of values.entries()) record(parts[i % 3] ?? emptyHistogram(), value);
  const all = merge(parts);
  const sorted = values.toSorted((a, b) => a - b);
  expect(all.total).toBe(20_000);
  for (const share of [0.5, 0.99, 0.999]) {
    const exact = sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
    expect(Math.abs(quantile(all, share) / exact - 1)).toBeLessThan(0.021);
  }
});

test('server, stores and load get cores of their own as far as there are any', () => {
  expect(planCpus(1, [0, 1, 2, 3])).toEqual({
    server: [0],
    stores: [1],
    load: [2, 3],
    shared: false,
  });
  expect(planCpus(2, [0, 1, 2, 3])).toEqual({
    server: [0, 1],
    stores: [2, 3],
    load: [2, 3],
    shared: false,
  });
  expect(planCpus(1, [4, 6])).toEqual({ server: [4], stores: [6], load: [6], shared: true });
  expect(planCpus(1, [0])).toEqual({ server: [0], stores: [0], load: [0], shared: true });
  expect(planCpus(2, [0, 1, 2, 3, 4, 5, 6, 7])).toMatchObject({
    server: [0, 1],
    stores: [2],
    load: [3, 4],
    shared: false,
  });
});

test('two load processes send each request of a list once', () => {
  const file = join(folder, 'list.json');
  saveTraffic(
    file,
    eachOf(
      Array.from({ length: 10 }, (_, n) => ({ path: `/${n}`, headers: bearer('t'), body: { n } })),
    ),
  );
  const paths = [0, 1].flatMap((index) => {
    const next = createSource(file, 'host:1', { index, count: 2 });
    return Array.from({ length: 5 }, () => next().toString().split(' ')[1]);
  });
  expect(paths.toSorted()).toEqual(Array.from({ length: 10 }, (_, n) => `/${n}`));
  const text = createSource(file, 'host:1', ALONE)().toString();
  expect(text).toBe(
    'GET /0 HTTP/1.1\r\nHost: host:1\r\nConnection: keep-alive\r\nAuthorization: Bearer t\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"n":0}',
  );
});

test('an answer is complete with its last byte, however it is framed', () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n';
  expect([completeStatus(head), completeStatus(`${head}ab`), completeStatus(`${head}abc`)]).toEqual(
    [undefined, undefined, '200'],
  );
  expect(completeStatus('HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n')).toBe('304');
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n';
  expect([completeStatus(chunked), completeStatus(`${chunked}0\r\n\r\n`)]).toEqual([
    undefined,
    '200',
  ]);
});

/** Answers at once, but for a pause in which all answers wait. */
async function withPausingServer<T>(
  pause: { afterMs: number; forMs: number },
  work: (url: string) => Promise<T>,
): Promise<T> {
  let held: ServerResponse[] | undefined;
  const server = createServer((_req, res) => {
    if (held === undefined) res.end('ok');
    else held.push(res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const begin = setTimeout(() => {
    held = [];
  }, pause.afterMs);
  const end = setTimeout(() => {
    const late = held ?? [];
    held = undefined;
    for (const res of late) res.end('ok');
  }, pause.afterMs + pause.forMs);
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    clearTimeout(begin);
    clearTimeout(end);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test('the open loop counts the delay of requests that were due in a pause', async () => {
  const trafficFile = join(folder, 'one.json');
  saveTraffic(trafficFile, eachOf([{ path: '/' }]));
  const spec = { kind: 'open', trafficFile, connections: 2, seconds: 1.5, rate: 400 } as const;
  const result = await withPausingServer({ afterMs: 500, forMs: 600 }, (url) =>
    runOpen({ ...spec, url }, ALONE),
  );
  const answers = Object.values(result.statuses).reduce((sum, count) => sum + count, 0);
  // A closed loop of two connections would have waited with two requests; here 40 % were due during
  // the pause.
  expect(result.errors).toBe(0);
  expect(answers).toBeGreaterThan(400);
  expect(quantile(result.latency, 0.9)).toBeGreaterThan(300);
});

test('the closed loop reports statuses and a rate', async () => {
  const trafficFile = join(folder, 'closed.json');
  saveTraffic(trafficFile, eachOf([{ path: '/' }]));
  const spec = { kind: 'closed', trafficFile, connections: 4, seconds: 1 } as const;
  const result = await withPausingServer({ afterMs: 60_000, forMs: 0 }, (url) =>
    runClosed({ ...spec, url }, ALONE),
  );
  expect(Object.keys(result.statuses)).toEqual(['200']);
  expect(result.perSecond).toBeGreaterThan(10);
});

test('a goal is judged by its median, and only where it was measured', () => {
  const figures = createFigures();
  const key = { question: 'profile', name: 'requests', unit: 'req/s', node: '20' } as const;
  for (const [ours, theirs] of [
    [100, 90],
    [100, 110],
    [100, 95],
  ] as const) {
    figures.add({ ...key, contestant: 'ours' }, ours);
    figures.add({ ...key, contestant: 'fastify' }, theirs);
  }
  const rows = goalRows(figures, ['20', '24']);
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({ node: '20', goal: '≥ 1', met: true });
  expect(() => figures.add({ ...key, contestant: 'ours' }, Number.NaN)).toThrow('not a number');
});

test('the table says that a goal was not judged where others were at work', () => {
  const figures = createFigures();
  const key = { name: 'requests', unit: 'req/s', node: '20' } as const;
  for (const question of ['profile', 'user-by-id']) {
    figures.add({ ...key, question, contestant: 'ours' }, 50);
    figures.add({ ...key, question, contestant: 'fastify' }, 100);
  }
  const [head, , ...rows] = goalTable(goalRows(figures, ['20'], ['profile'])).split('\n');
  expect(head).toMatch(/^figure +Node +goal +least +median +greatest +met$/);
  expect(rows).toHaveLength(2);
  expect(rows[0]).toMatch(
    /^profile: \(e\) ours ÷ \(c\) fastify +20 .* 0\.50 +not judged: the machine is busy$/,
  );
  expect(rows[1]).toMatch(/^user by id: .* 0\.50 +no$/);
  expect(goalTable([])).toMatch(/^No goal/);
});

test('contestants have one name, and no two the same', () => {
  const names = everyone.map(({ id }) => nameOfId(id));
  expect(names).toContain('(c′) fastify-lean');
  expect(new Set(names).size).toBe(everyone.length);
  expect(nameOfId('express-fast')).toBe('express-fast');
});

test('a heading tells the question and the time left, at the pace of this machine', () => {
  let nowMs = 0;
  const quick = { rounds: 2, seconds: 1, warmSeconds: 1 };
  const schedule = createSchedule(['profile', 'mixed', 'latency'], quick, () => nowMs);
  expect(schedule.heading('profile', 'Reads')).toBe('[1 of 3, about 2 min left] Reads');
  // Twice as slow as estimated: 26 s.
  nowMs = 52_000;
  schedule.done('profile');
  expect(schedule.heading('mixed', 'Mixed')).toBe('[2 of 3, about 2 min left] Mixed');
  nowMs = 84_000;
  schedule.done('mixed');
  expect(schedule.heading('latency', 'Latency')).toBe('[3 of 3, about 2 min left] Latency');
  expect([2, 43, 600].map(showTime)).toEqual(['about 5 s', 'about 45 s', 'about 10 min']);
});

test('time of others is busy time outside this run', () => {
  const stat = 'cpu  9 9 9 9 9 9 9 9\ncpu0 10 1 5 50 3 2 2 7 0 0\ncpu1 100 0 0 0 0 0 0 0 0 0\n';
  expect(processorTimes(stat, [0])).toEqual({ busyMs: 200, stolenMs: 70 });
  expect(processorTimes(stat, [0, 1])).toEqual({ busyMs: 1200, stolenMs: 70 });
  expect(isBusy({ others: 0.1, stolen: 0 })).toBe(false);
  expect(isBusy({ others: 0.5, stolen: 0 })).toBe(true);
  expect(isBusy({ others: 0, stolen: 0.2 })).toBe(true);
});

/** Keeps a processor busy for `ms` of its time. */
function work(ms: number): void {
  const before = process.cpuUsage();
  while (process.cpuUsage(before).user < ms * 1000) Math.sqrt(Math.random());
}

const onLinux = process.platform === 'linux' ? test : test.skip;
onLinux('own work is not that of others', () => {
  const quiet = watchDisturbance();
  const beganMs = performance.now();
  work(600);
  const share = 600 / (performance.now() - beganMs);
  const all = watchDisturbance();
  const { others } = quiet();
  expect(all().others).toBeGreaterThanOrEqual(0);
  // Of the processors, this process had `share`: what others used and this is not more than all.
  expect(others + share).toBeLessThanOrEqual(availableParallelism() + 0.3);
});
