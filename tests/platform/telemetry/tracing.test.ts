import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseConfig } from '../../../src/kernel/config/config';
import { createActiveSpan } from '../../../src/platform/telemetry/active-span';
import { connectTracing, openActiveSpan } from '../../../src/platform/telemetry/connect-tracing';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { createMetrics } from '../../../src/platform/telemetry/metrics';
import { type Tracing, within } from '../../../src/platform/telemetry/tracing';
import { exposeTracing } from '../../../src/platform/telemetry/tracing-metrics';
import { eventually } from '../../support/http';
import { type OtlpReceiver, startOtlpReceiver } from '../../support/otlp';
import { freePort } from '../../support/service';

const PARENT = { trace: 'ab'.repeat(16), span: 'cd'.repeat(8) };
const parentOf = (flags: string) => ({
  traceparent: `00-${PARENT.trace}-${PARENT.span}-${flags}`,
});

let receiver: OtlpReceiver;
const lines: Record<string, unknown>[] = [];
const open: Tracing[] = [];

async function connect(settings: Record<string, string>): Promise<Tracing> {
  const config = parseConfig(settings);
  const active = openActiveSpan(config.tracing);
  const log = createLogger(
    { level: 'info', fields: active?.fields },
    { write: (line) => lines.push(JSON.parse(line)) },
  );
  const resource = { 'process.pid': process.pid };
  const tracing = await connectTracing({ settings: config.tracing, active, log, resource });
  open.push(tracing);
  return tracing;
}

const to = (url: string, more: Record<string, string> = {}) =>
  connect({ OTEL_EXPORTER_OTLP_ENDPOINT: url, ...more });

beforeAll(async () => {
  receiver = await startOtlpReceiver();
});
beforeEach(() => {
  lines.length = 0;
});
afterEach(async () => {
  for (const tracing of open.splice(0)) await tracing.close();
});
afterAll(() => receiver.close());

test('off: OpenTelemetry is not loaded, and no async hook is in use', () => {
  const file = join(__dirname, '../../../src/platform/telemetry/connect-tracing.js');
  const script = `
    let hooks = 0;
    const { AsyncLocalStorage } = require('node:async_hooks');
    require('node:async_hooks').AsyncLocalStorage = class extends AsyncLocalStorage {
      constructor() { super(); hooks += 1; }
    };
    const { connectTracing, openActiveSpan } = require(${JSON.stringify(file)});
    const settings = { endpoint: undefined };
    connectTracing({ settings, active: openActiveSpan(settings) }).then(({ isOn }) => {
      const loaded = Object.keys(require.cache).filter((path) => path.includes('@opentelemetry'));
      console.log(JSON.stringify({ isOn, hooks, loaded: loaded.length }));
    });`;
  const said = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  expect(JSON.parse(said)).toEqual({ isOn: false, hooks: 0, loaded: 0 });
});

test('spans reach a receiver, with their parents, attributes and the name of the service', async () => {
  const tracing = await to(receiver.url, {
    OTEL_SERVICE_NAME: 'accounts',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20a%3Db, x-team = people',
  });
  const headers = { ...parentOf('01'), tracestate: 'vendor=1,other=2' };
  const server = tracing.serve('GET', headers, { 'http.request.method': 'GET' });
  await within(tracing, server, async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const child = tracing.child('find users', { 'db.system.name': 'mongodb' }, 'client');
    child?.fail('MongoNetworkError');
    child?.end();
  });
  const spans = await receiver.traceWith('find users', PARENT.trace);
  const [root, child] = ['GET', 'find users'].map((name) => spans.find((s) => s.name === name));
  expect(root).toMatchObject({
    kind: 'server',
    parentId: PARENT.span,
    traceState: 'vendor=1,other=2',
    isError: false,
    attributes: { 'http.request.method': 'GET' },
    resource: { 'service.name': 'accounts', 'process.pid': process.pid },
  });
  expect(root?.durationMs).toBeGreaterThan(4);
  expect(child).toMatchObject({
    kind: 'client',
    parentId: root?.spanId,
    isError: true,
    attributes: { 'error.type': 'MongoNetworkError' },
  });
  expect(receiver.exports.at(-1)).toMatchObject({
    authorization: 'Bearer a=b',
    'x-team': 'people',
  });
});

test('the decision of the parent counts, and without one the ratio', async () => {
  const none = await to(receiver.url, { OTEL_TRACES_SAMPLER_ARG: '0' });
  const all = await to(receiver.url, { OTEL_TRACES_SAMPLER_ARG: '1.0' });
  const recorded = (tracing: Tracing, headers: Record<string, string>) =>
    tracing.serve('GET', headers, {})?.isRecorded;
  expect([recorded(none, {}), recorded(none, parentOf('01'))]).toEqual([false, true]);
  expect([recorded(all, {}), recorded(all, parentOf('00'))]).toEqual([true, false]);
  expect(recorded(none, { traceparent: `ff-${PARENT.trace}-${PARENT.span}-01` })).toBe(false);
  const unsampled = all.serve('GET', parentOf('00'), {});
  expect(unsampled?.traceId).toBe(PARENT.trace);
  all.activate(unsampled, () => expect(all.child('find users')).toBeUndefined());
});

test('work without an active span makes no span; log lines carry the ids of the active one', async () => {
  const active = createActiveSpan();
  const log = createLogger(
    { level: 'info', fields: active.fields },
    { write: (line) => lines.push(JSON.parse(line)) },
  );
  const settings = parseConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }).tracing;
  const tracing = await connectTracing({ settings, active, log, resource: {} });
  open.push(tracing);
  expect(tracing.child('find users')).toBeUndefined();
  const span = tracing.serve('GET', {}, {});
  await within(tracing, span, async () => {
    await new Promise((resolve) => setImmediate(resolve));
    log.info('within');
    tracing.activate(undefined, () => log.info('detached'));
  });
  log.info('after');
  const ids = { trace_id: span?.traceId, span_id: span?.spanId };
  expect(lines.map(({ msg, trace_id, span_id }) => ({ msg, trace_id, span_id }))).toEqual([
    { msg: 'within', ...ids },
    { msg: 'detached', trace_id: undefined, span_id: undefined },
    { msg: 'after', trace_id: undefined, span_id: undefined },
  ]);
});

test('later work is in the trace of its origin, or linked to it', async () => {
  const tracing = await to(receiver.url);
  const request = tracing.serve('POST', {}, {});
  const origin = tracing.activate(request, () => tracing.origin());
  request?.end();
  tracing.follow('mail verify-email', origin)?.end();
  tracing.begin('job users.import', origin)?.end();
  const mail = (await receiver.traceWith('mail verify-email', request?.traceId)).find(
    ({ name }) => name === 'mail verify-email',
  );
  expect(mail?.parentId).toBe(request?.spanId);
  const [job] = await receiver.traceWith('job users.import');
  expect(job?.traceId).not.toBe(request?.traceId);
  expect(job?.links).toEqual([{ traceId: request?.traceId, spanId: request?.spanId }]);
  expect(tracing.follow('mail', undefined)).toBeUndefined();
  const unsampled = tracing.serve('POST', parentOf('00'), {});
  const silent = tracing.activate(unsampled, () => tracing.origin());
  expect(tracing.follow('mail', silent)?.isRecorded).toBe(false);
});

const makeSpans = (tracing: Tracing, count: number) => {
  for (let i = 0; i < count; i += 1) tracing.serve('GET', {}, {})?.end();
};

test('a receiver that never answers: the queue is bounded, dropped spans are counted', async () => {
  const slow = await startOtlpReceiver({ answer: 'never' });
  const tracing = await to(slow.url);
  const metrics = createMetrics();
  exposeTracing(tracing, metrics);
  makeSpans(tracing, 5000);
  await eventually('an export', () => slow.exports.length > 0);
  makeSpans(tracing, 5000);
  expect(tracing.counts().queueFull).toBe(10_000 - 2048);
  expect(await metrics.metrics()).toContain(
    `tracing_spans_dropped_total{reason="queue_full"} ${10_000 - 2048}`,
  );
  const began = performance.now();
  await tracing.close();
  expect(performance.now() - began).toBeLessThan(5000);
  await slow.close();
  expect(lines.filter(({ msg }) => msg === 'traces not exported')).toHaveLength(1);
});

test('a receiver that is away: one warning for the outage, and an end of it', async () => {
  const port = await freePort();
  const tracing = await to(`http://127.0.0.1:${port}`);
  makeSpans(tracing, 1000);
  await eventually('a failed export', () => tracing.counts().exportFailed > 256, 20_000);
  expect(lines.map(({ msg }) => msg)).toEqual(['traces not exported']);
  await tracing.close();
  expect(tracing.counts()).toMatchObject({ exported: 0, queueFull: 0 });
}, 30_000);

test.each([
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://user:pw@collector:4318'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization=%E0%A4'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'two words=1'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'x-key=a%0Ab'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'Content-Length=5'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'x-key=a,X-Key=b'],
  ['OTEL_TRACES_SAMPLER_ARG', '1.5'],
  ['OTEL_TRACES_SAMPLER_ARG', '5%'],
])('%s=%s stops the start', (name, value) => {
  expect(() => parseConfig({ [name]: value })).toThrow(new RegExp(`${name} must`));
});
