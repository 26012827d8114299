import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkOf, costOf, planFor } from '../../../dev/loadtest/forecast/plan';
import { limitOf, type Observed } from '../../../dev/loadtest/limit';
import { runClosed } from '../../../dev/loadtest/load/closed';
import { createOpenLoop } from '../../../dev/loadtest/load/open';
import { startRecorder } from '../../../dev/loadtest/load/recorder';
import { createSource, type Outgoing, saveKinds } from '../../../dev/loadtest/load/source';
import { type Reading, readingOf } from '../../../dev/loadtest/metrics';
import { parseOptions } from '../../../dev/loadtest/options';
import { niceMax } from '../../../dev/loadtest/report/chart';
import { measured } from '../../../dev/loadtest/report/points';
import { KIND_NAMES, SCENARIO_NAMES, SCENARIOS } from '../../../dev/loadtest/scenarios';
import { createTimeline, latencyAt, refusals, sum } from '../../../dev/loadtest/timeline';
import { UsageError } from '../../../src/app/cli/run';

const folder = mkdtempSync(join(tmpdir(), 'loadtest-parts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const HERE = ['--target', 'http://127.0.0.1:3000'];

test('a command is read', () => {
  expect(parseOptions([...HERE, '--rate', '500', '--processes', '2'])).toMatchObject({
    ...{ command: 'run', target: 'http://127.0.0.1:3000', rate: 500, processes: 2 },
    ...{ scenario: 'read-heavy', durationSeconds: 30, report: 'loadtest-report.html' },
  });
  expect(parseOptions([...HERE, '--mix', 'profile=99.5, login=0.5'])).toMatchObject({
    ...{ scenario: 'own mix', mix: { profile: 99.5, login: 0.5 } },
  });
  expect(parseOptions(['seed', '--users', '10'])).toEqual({
    ...{ command: 'seed', users: 10, remove: false, isOwned: false },
  });
  expect(parseOptions(['seed', '--users', '1', '--i-own-this-database'])).toMatchObject({
    isOwned: true,
  });
  expect(
    parseOptions(['--target', 'https://staging.example', '--i-own-this-target']),
  ).toMatchObject({
    target: 'https://staging.example',
  });
});

test.each([
  [[], '--target is missing'],
  [['--target', 'ftp://127.0.0.1'], '--target must be an http:// or https:// URL'],
  [['--target', 'https://example.org'], 'give --i-own-this-target'],
  [['--target', 'http://10.0.0.1:3000'], 'give --i-own-this-target'],
  [[...HERE, '--rate', '5', '--connections', '5'], 'not both'],
  [[...HERE, '--rate', '0'], '--rate must be a whole number from 1'],
  [[...HERE, '--duration-seconds', '1e3'], '--duration-seconds must be a whole number'],
  [[...HERE, '--scenario', 'flood'], '--scenario must be one of read-heavy'],
  [[...HERE, '--check'], '--check has no meaning for run'],
  [[...HERE, '--rat', '5'], 'There is no option --rat; --help lists them.'],
  [[...HERE, '--mix', 'profile'], '--mix: "profile" is not KIND=WEIGHT'],
  [[...HERE, '--mix', 'delete=5'], 'one of profile, user'],
  [[...HERE, '--mix', 'profile=0'], 'a weight above 0'],
  [[...HERE, '--mix', 'profile=1,profile=2'], 'twice'],
  [[...HERE, '--mix', 'profile=1', '--scenario', 'list'], '--scenario or --mix, not both'],
  [['sed'], 'Unknown command "sed"'],
  [['seed'], 'Give --users N or --remove'],
  [['seed', '--users', '5', '--rate', '5'], '--rate has no meaning for seed'],
  [['forecast', ...HERE], '--rate is missing'],
  [['forecast', ...HERE, '--rate', '5'], '--metrics is missing'],
])('an invalid command says why: %j', (argv, message) => {
  expect(() => parseOptions(argv)).toThrow(UsageError);
  expect(() => parseOptions(argv)).toThrow(message);
});

test('every kind of request is part of a scenario', () => {
  const used = SCENARIO_NAMES.flatMap((name) => Object.keys(SCENARIOS[name]));
  expect([...new Set(used)].toSorted()).toEqual([...KIND_NAMES].toSorted());
});

async function withServer<T>(listener: RequestListener, work: (url: string) => Promise<T>) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const GET: Outgoing = {
  kind: 'profile',
  bytes: Buffer.from('GET / HTTP/1.1\r\nHost: test\r\n\r\n'),
};

function measuring() {
  const timeline = createTimeline(1);
  return { timeline, recorder: startRecorder((tick) => timeline.add(tick)) };
}

test('an open loop counts from the due time, and goes on after a lost connection', async () => {
  const { timeline, recorder } = measuring();
  let requests = 0;
  let heldFromMs = Number.POSITIVE_INFINITY;
  const beganMs = performance.now();
  await withServer(
    (req, res) => {
      requests += 1;
      if (requests === 20) return void req.socket.destroy();
      // Half a second in which nothing is answered.
      const nowMs = performance.now() - beganMs;
      if (nowMs > 500 && heldFromMs === Number.POSITIVE_INFINITY) heldFromMs = nowMs;
      const restMs = heldFromMs + 500 - nowMs;
      if (restMs > 0 && heldFromMs < Number.POSITIVE_INFINITY)
        setTimeout(() => res.end('ok'), restMs);
      else res.end('ok');
    },
    async (url) => {
      const { signal } = new AbortController();
      const common = { url, rate: 200, maxConnections: 2, seconds: 1.5, timeoutSeconds: 10 };
      await createOpenLoop({ ...common, seed: 0, next: () => GET, recorder, signal }).run();
    },
  );
  recorder.close();
  const { statuses, failures, latency } = timeline.totals();
  expect(failures).toEqual({ 'connection lost': 1 });
  // Two connections would have had two slow requests in a closed loop: here a third were due then.
  expect(statuses['200']).toBeGreaterThan(150);
  expect(latencyAt(latency, 0.85)).toBeGreaterThan(200);
});

test('an open loop ends when nothing answers, and says so', async () => {
  const { timeline, recorder } = measuring();
  const { signal } = new AbortController();
  const dead = await withServer(
    (_req, res) => res.end(),
    async (url) => url,
  );
  const common = { url: dead, rate: 50, maxConnections: 2, seconds: 0.5, timeoutSeconds: 1 };
  await createOpenLoop({ ...common, seed: 0, next: () => GET, recorder, signal }).run();
  recorder.close();
  expect(timeline.totals().answers).toBe(0);
  expect(sum(timeline.totals().failures)).toBeGreaterThan(5);
});

test('a closed loop counts statuses, and a connection that the server ends', async () => {
  const { timeline, recorder } = measuring();
  const enough = new AbortController();
  let requests = 0;
  await withServer(
    (req, res) => {
      requests += 1;
      if (requests === 5) return void req.socket.end();
      if (requests === 50) enough.abort();
      res.statusCode = requests % 10 === 0 ? 503 : 200;
      res.end('ok');
    },
    async (url) => {
      const common = { url, connections: 2, seconds: 60, timeoutSeconds: 60 };
      await runClosed({ ...common, next: () => GET, recorder, signal: enough.signal });
    },
  );
  recorder.close();
  const { statuses, failures } = timeline.totals();
  expect(failures).toEqual({ 'connection lost': 1 });
  expect(statuses['200']).toBeGreaterThanOrEqual(40);
  expect(statuses['503']).toBeGreaterThanOrEqual(4);
  expect(refusals(statuses)).toBe(statuses['503']);
});

test('a refresh token is replaced by that of the answer, and sent again without one', () => {
  const file = join(folder, 'refresh.json');
  const kind = { name: 'refresh', weight: 1, requests: [], refreshTokens: ['a', 'b'] } as const;
  saveKinds(file, [kind]);
  const next = createSource(file, 'host', { index: 0, count: 1 });
  const tokenOf = ({ bytes }: Outgoing) => /"refresh_token":"([^"]+)"/.exec(bytes.toString())?.[1];
  const [first, second] = [next(), next()];
  expect([tokenOf(first), tokenOf(second)]).toEqual(['a', 'b']);
  first.answered?.(200, '{"refresh_token":"a2"}');
  second.answered?.(undefined, '');
  expect([tokenOf(next()), tokenOf(next())]).toEqual(['a2', 'b']);
});

test('each kind is sent as often as its weight says, also in a short run', () => {
  const file = join(folder, 'weights.json');
  const weights = { profile: 90, list: 9, update: 1 };
  saveKinds(
    file,
    KIND_NAMES.filter((name) => name in weights).map((name) => ({
      ...{ name, weight: weights[name as keyof typeof weights], requests: [{ path: `/${name}` }] },
    })),
  );
  const next = createSource(file, 'host', { index: 0, count: 1 });
  for (let run = 0; run < 10; run += 1) {
    const counts = { profile: 0, list: 0, update: 0 };
    for (let n = 0; n < 200; n += 1) counts[next().kind as keyof typeof counts] += 1;
    expect(Math.abs(counts.list - 18)).toBeLessThanOrEqual(1);
    expect(Math.abs(counts.update - 2)).toBeLessThanOrEqual(1);
  }
});

test('two load processes share the users', () => {
  const file = join(folder, 'shared.json');
  const requests = Array.from({ length: 10 }, (_, n) => ({ path: `/${n}` }));
  saveKinds(file, [{ name: 'profile', weight: 1, requests }]);
  const paths = [0, 1].map((index) => {
    const next = createSource(file, 'host', { index, count: 2 });
    return new Set(Array.from({ length: 200 }, () => next().bytes.toString().split(' ')[1]));
  });
  expect(paths[0]).toEqual(new Set(['/0', '/2', '/4', '/6', '/8']));
  expect(paths[1]).toEqual(new Set(['/1', '/3', '/5', '/7', '/9']));
});

const QUIET = `cluster_workers_ready 2
process_cpu_seconds_total 10
auth_hash_seconds_sum 0
http_request_duration_seconds_sum{route="/",status="200"} 100
mongodb_command_duration_seconds_sum{command="find",result="ok"} 0
mongodb_command_duration_seconds_count{command="find",result="ok"} 0
mongodb_pool_connections{state="waiting"} 0
auth_hash_queue_length 0
cache_redis_entries_in_use 2
`;

/** Two readings ten seconds apart, the second with these values. */
const readings = (values: Readonly<Record<string, number>>): readonly Reading[] => {
  const later = Object.entries(values).reduce(
    (text, [name, value]) =>
      text.replace(new RegExp(`^(${name}(?:{.*})?) .*$`, 'm'), `$1 ${value}`),
    QUIET,
  );
  return [readingOf(QUIET, 0), readingOf(later, 10_000)];
};

function observed(more: Partial<Observed>): Observed {
  const timeline = createTimeline(1);
  const kinds = {
    profile: {
      latency: { counts: { 350: 1000 }, total: 1000 },
      statuses: { 200: 1000 },
      failures: {},
    },
  };
  for (let second = 0; second < 10; second += 1)
    timeline.add({ second, kinds, busy: 0.3, backlog: 0 });
  const loop = { kind: 'closed', connections: 16 } as const;
  return {
    ...{ totals: timeline.totals(), seconds: timeline.seconds(), durationSeconds: 10, loop },
    ...{ readings: readings({}), machineBusy: 0.5, ...more },
  };
}

describe('the limiting resource is named', () => {
  const of = (more: Partial<Observed>) => limitOf(observed(more)).resource;
  const { seconds, totals } = observed({});

  test.each([
    ['event loops', { readings: readings({ process_cpu_seconds_total: 28 }) }],
    ['hash queue', { readings: readings({ auth_hash_queue_length: 8 }) }],
    [
      'MongoDB',
      {
        readings: readings({
          http_request_duration_seconds_sum: 200,
          mongodb_command_duration_seconds_sum: 80,
          mongodb_command_duration_seconds_count: 4000,
        }),
      },
    ],
    ['processors of this machine', { machineBusy: 0.98 }],
    ['connections', {}],
    ['unknown', { readings: [] }],
    ['target rate', { loop: { kind: 'open', rate: 1000 } as const, readings: [] }],
    ['unknown', { loop: { kind: 'open', rate: 2000 } as const, readings: [] }],
    ['load generator', { seconds: seconds.map((one) => ({ ...one, busy: 0.97 })) }],
    ['rate limiter', { totals: { ...totals, statuses: { 200: 5000, 429: 5000 } } }],
  ])('%s', (resource, more) => {
    expect(of(more)).toBe(resource);
  });

  test('hashing is not counted as work of an event loop', () => {
    const busy = { process_cpu_seconds_total: 28, auth_hash_seconds_sum: 17 };
    expect(of({ readings: readings(busy) })).toBe('connections');
  });
});

test('a forecast adds up', () => {
  const measured = (answers: number, cpu: number) => ({
    ...{ answers, cpu, hashing: answers * 0.0005, mongoCommands: answers },
  });
  // 0.1 processors at any rate, and 0.7 ms a request.
  const cost = costOf([measured(100, 0.17), measured(200, 0.24), measured(400, 0.38)]);
  expect(cost.cpu.fixed).toBeCloseTo(0.1);
  expect(cost.cpu.perRequest).toBeCloseTo(0.0007);
  // Two workers use 0.2 without load: each has 0.55 left. 7 / 0.55 is 12.7 workers.
  const plan = planFor(cost, { workers: 2, idleCpu: 0.2 }, 10_000, 4);
  expect(plan).toMatchObject({ workers: 13, hosts: 4 });
  expect(plan.busy).toBeCloseTo(13 * 0.15 + 7);
  expect(plan.hashing).toBeCloseTo(5);
  expect(checkOf('mixed', cost, measured(1000, 1)).error).toBeCloseTo(-0.2);
  expect(() => planFor(cost, { workers: 1, idleCpu: 0.7 }, 10, 4)).toThrow('80 % of a processor');
});

test('a forecast expects no negative cost, whatever was measured', () => {
  const measured = (answers: number, cpu: number) => ({
    ...{ answers, cpu, hashing: 0, mongoCommands: 0 },
  });
  expect(costOf([measured(100, 0.1), measured(200, 0.3)]).cpu).toMatchObject({ fixed: 0 });
  const falling = costOf([measured(100, 0.2), measured(200, 0.1)]).cpu;
  expect(falling).toMatchObject({ fixed: 0 });
  expect(falling.perRequest).toBeCloseTo(0.0008);
});

test('an axis ends at a round number', () => {
  expect([0, 0.7, 1, 18, 22, 4300].map(niceMax)).toEqual([1, 1, 1, 20, 25, 5000]);
});

test('the charts of a closed loop end with its sending', () => {
  const timeline = createTimeline(1);
  for (const second of [0, 1, 2]) timeline.add({ second, kinds: {}, busy: 0, backlog: 0 });
  const seconds = (loop: 'closed' | 'open') =>
    measured(timeline.seconds(), loop, 2).map(({ second }) => second);
  expect([seconds('closed'), seconds('open')]).toEqual([
    [0, 1],
    [0, 1, 2],
  ]);
});
