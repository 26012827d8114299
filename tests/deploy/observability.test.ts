import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type Fleet, startFleet } from '../support/fleet';
import { groupedLabels, type Sample, samplesOf, selectorsOf } from '../support/promql';
import { startTestRedis, type TestRedis } from '../support/redis';
import { freePort, root } from '../support/service';

const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const rules = read('deploy/prometheus/rules.yaml');
const dashboard = read('deploy/grafana/auth-service.json');

/** `- record:` or `- alert:` with its expression. */
const ruleExpressions = rules
  .split(/^ {6}- (?=record|alert)/m)
  .slice(1)
  .map((block) => ({
    kind: /^(record|alert): /.exec(block)?.[1] ?? '',
    name: /^(?:record|alert): (\S+)/.exec(block)?.[1] ?? '',
    expr: /expr: (?:\|\n)?((?:.|\n)*?)(?=\n {8}\w|\n\n|$(?![\s\S]))/.exec(block)?.[1] ?? '',
    runbook: /runbook: (\S+)/.exec(block)?.[1],
    severity: /severity: (\S+)/.exec(block)?.[1],
  }));
const recorded = ruleExpressions.filter(({ kind }) => kind === 'record').map(({ name }) => name);
const alerts = ruleExpressions.filter(({ kind }) => kind === 'alert');

function dashboardExpressions(): string[] {
  const found: string[] = [];
  JSON.parse(dashboard, (key, value: unknown) => {
    if (key === 'expr' && typeof value === 'string') found.push(value);
    return value;
  });
  return found;
}

/** Labels that Prometheus adds to each target, and the metric of the scrape itself. */
const OF_PROMETHEUS = ['job', 'instance'];
const SCRAPE_METRICS = ['up'];
/** Values that a healthy service does not show. */
const OF_FAILURES: Readonly<Record<string, string>> = { result: 'error', status: '5..' };

let redis: TestRedis;
let fleet: Fleet;
let exposed: string;
let samples: readonly Sample[];

beforeAll(async () => {
  redis = await startTestRedis();
  const opsPort = await freePort();
  fleet = await startFleet(1, { OPS_PORT: String(opsPort), REDIS_URL: redis.url });
  const { email, password } = fleet.admin;
  const login = await fetch(`${fleet.url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  expect(login.status).toBe(200);
  const { access_token: token, user } = (await login.json()) as {
    access_token: string;
    user: { id: string };
  };
  const read = await fetch(`${fleet.url}/api/users/${user.id}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(read.status).toBe(200);
  await (await fetch(`${fleet.url}/api/auth/revocations?wait=400`)).body?.cancel();
  exposed = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
  samples = samplesOf(exposed);
});

afterAll(async () => {
  await fleet?.close();
  await redis?.close();
});

/** Faults of one expression against the samples of the running service. */
function faultsOf(expression: string): string[] {
  const names = new Set(samples.map(({ name }) => name));
  const selectors = selectorsOf(expression);
  const faults = selectors.flatMap(({ metric, matchers }) => {
    if (SCRAPE_METRICS.includes(metric)) return [];
    if (metric.includes(':')) return recorded.includes(metric) ? [] : [`no rule records ${metric}`];
    if (!names.has(metric)) return [`no metric ${metric}`];
    const own = samples.filter(({ name }) => name === metric);
    return matchers.flatMap(({ label, op, value }) => {
      if (OF_PROMETHEUS.includes(label)) return [];
      const values = new Set(own.flatMap(({ labels }) => labels[label] ?? []));
      if (values.size === 0) return [`${metric} has no label ${label}`];
      if (op.startsWith('!') || OF_FAILURES[label] === value) return [];
      const wanted = op === '=~' ? value.split('|') : [value];
      return wanted
        .filter((one) => !values.has(one))
        .map((one) => `${metric} has no ${label}="${one}"`);
    });
  });
  const labels = new Set([
    ...OF_PROMETHEUS,
    ...samples
      .filter(({ name }) => selectors.some(({ metric }) => metric === name))
      .flatMap((sample) => Object.keys(sample.labels)),
  ]);
  const grouped = groupedLabels(expression).filter((label) => !labels.has(label));
  return [...faults, ...grouped.map((label) => `groups by unknown label ${label}`)];
}

test('a wrong name, label or value is found', () => {
  expect(faultsOf('rate(http_request_duration_second_count[5m])')).toHaveLength(1);
  expect(faultsOf('sum by (rute) (http_request_duration_seconds_count)')).toHaveLength(1);
  expect(faultsOf('auth_events_total{type="refresh_token_stolen"} > 0')).toHaveLength(1);
  expect(faultsOf('job:auth_errors:ratio_rate7m > 1')).toHaveLength(1);
  expect(faultsOf('cache_breaker_open{worker="1"}')).toHaveLength(1);
});

test('every metric and label in the rules is one of the running service', () => {
  expect(ruleExpressions.length).toBeGreaterThan(35);
  const faults = ruleExpressions.flatMap(({ name, expr }) => {
    expect([name, selectorsOf(expr).length]).not.toEqual([name, 0]);
    return faultsOf(expr).map((fault) => `${name}: ${fault}`);
  });
  expect(faults).toEqual([]);
});

test('every metric and label on the dashboard is one of the running service', () => {
  const expressions = dashboardExpressions();
  expect(expressions.length).toBeGreaterThan(55);
  expect(expressions.filter((one) => selectorsOf(one).length === 0)).toEqual([]);
  expect(expressions.flatMap((one) => faultsOf(one).map((fault) => `${one}: ${fault}`))).toEqual(
    [],
  );
});

interface Operation {
  readonly operationId: string;
  readonly 'x-waits'?: true;
  readonly parameters?: readonly { readonly name: string }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: object }>>;
  };
  readonly responses: Readonly<Record<string, { readonly content?: object }>>;
}

const STREAMED = /event-stream|ndjson|csv/;
/** By what an operation shows of itself. */
function isHeld({ parameters = [], requestBody, responses }: Operation): boolean {
  const body = JSON.stringify(requestBody ?? {});
  const types = [
    ...Object.keys(requestBody?.content ?? {}),
    ...Object.values(responses).flatMap(({ content }) => Object.keys(content ?? {})),
  ];
  return (
    parameters.some(({ name }) => ['wait', 'for_seconds'].includes(name)) ||
    body.includes('returnImmediately') ||
    types.some((type) => STREAMED.test(type))
  );
}
/** Sent as it is read, for one user. */
const STREAMED_AS_JSON = 'exportPersonalData';

test('requests that wait by design are in no objective and no percentile', async () => {
  const { paths } = (await (await fetch(`${fleet.url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, Operation>>;
  };
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  const idsOf = (some: readonly Operation[]) => some.map(({ operationId }) => operationId).sort();
  const held = idsOf(operations.filter(isHeld));
  expect(held.length).toBeGreaterThan(5);
  expect(idsOf(operations.filter((one) => one['x-waits'] === true))).toEqual(
    [...held, STREAMED_AS_JSON].sort(),
  );
  const marked = samples.filter(
    ({ name, labels }) => name.startsWith('http_request_duration') && labels['waits'] === 'true',
  );
  expect([...new Set(marked.map(({ labels }) => labels['route']))]).toEqual([
    '/api/auth/revocations',
  ]);
  const timed = [...ruleExpressions.map(({ expr }) => expr), ...dashboardExpressions()].filter(
    (one) => one.includes('http_request_duration_seconds_bucket'),
  );
  expect(timed.length).toBeGreaterThan(10);
  const without = timed
    .flatMap(selectorsOf)
    .filter(
      ({ matchers }) =>
        !matchers.some(({ label, op, value }) => `${label}${op}${value}` === 'waits!=true'),
    );
  expect(without).toEqual([]);
});

test('the routes that objectives leave out are routes of the service', async () => {
  const { paths } = (await (await fetch(`${fleet.url}/openapi.json`)).json()) as {
    paths: Record<string, unknown>;
  };
  const known = Object.keys(paths).map((one) => one.replaceAll(/\{(\w+)\}/g, ':$1'));
  const named = [...rules.matchAll(/route!~"([^"]+)"/g)].flatMap(([, list = '']) =>
    list.split('|'),
  );
  const probes = ['/livez', '/readyz', '/health'];
  expect(
    [...new Set(named)].filter((one) => !known.includes(one) && !probes.includes(one)),
  ).toEqual([]);
});

test('the dashboard shows a refusal because of overload once', () => {
  const refused = dashboardExpressions()
    .flatMap(selectorsOf)
    .filter(({ metric }) => metric === 'http_requests_refused_total');
  expect(refused).toHaveLength(1);
  expect(refused[0]?.matchers).toContainEqual({ label: 'code', op: '!=', value: 'overloaded' });
});

test('every alert has a severity and a section of the runbooks, and no section is left over', () => {
  const sections = [...read('docs/runbooks.md').matchAll(/^## (\S+)$/gm)].map(([, name]) => name);
  expect(alerts.length).toBeGreaterThan(25);
  expect(alerts.map(({ name }) => name).sort()).toEqual([...sections].sort());
  for (const { name, severity, runbook } of alerts) {
    expect([name, severity]).toEqual([name, expect.stringMatching(/^(page|ticket)$/)]);
    expect(runbook).toBe(`docs/runbooks.md#${name.toLowerCase()}`);
  }
});

test('every panel has a title and a query, and no two lie on each other', () => {
  const { panels } = JSON.parse(dashboard) as {
    panels: { type: string; title: string; gridPos: Record<'x' | 'y' | 'w' | 'h', number> }[];
  };
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  expect(panels.filter(({ title }) => title === '')).toEqual([]);
});

test('totals are counters and nothing else is, so that rates of them survive a restart', () => {
  const types = [...exposed.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => ({
    name,
    type,
  }));
  expect(types.length).toBeGreaterThan(50);
  const isTotal = ({ name }: { name: string }) => name.endsWith('_total');
  expect(types.filter((one) => isTotal(one) !== (one.type === 'counter'))).toEqual([]);
});
