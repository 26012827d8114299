import { startTestService, type TestService } from '../support/app';
import {
  type Client,
  createClient,
  eventually,
  PASSWORD,
  register,
  uniqueEmail,
} from '../support/http';
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp';
import type { ReceivedSpan } from '../support/otlp-messages';
import { describeWithRedis, startTestRedis, type TestRedis } from '../support/redis';
import { startTestSmtp, type TestSmtp } from '../support/smtp';

let receiver: OtlpReceiver;
let smtp: TestSmtp;
const lines: Record<string, unknown>[] = [];
let traces = 0;

beforeAll(async () => {
  [receiver, smtp] = await Promise.all([startOtlpReceiver(), startTestSmtp()]);
});
afterAll(() => Promise.all([receiver.close(), smtp.close()]));

const start = (settings: Record<string, string> = {}) =>
  startTestService(
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_TRACES_SAMPLER_ARG: '0',
      LOG_LEVEL: 'info',
      SMTP_URL: smtp.url,
      ...settings,
    },
    undefined,
    { write: (line) => lines.push(JSON.parse(line)) },
  );

/** A new trace of a client. */
function newTrace(flags = '01') {
  traces += 1;
  const traceId = traces.toString(16).padStart(32, 'a');
  return { traceId, headers: { traceparent: `00-${traceId}-${'b'.repeat(16)}-${flags}` } };
}

const named = (spans: readonly ReceivedSpan[], name: string) =>
  spans.filter((span) => span.name === name);
/** The names from a span up to the root. */
function pathOf(spans: readonly ReceivedSpan[], span: ReceivedSpan | undefined): string[] {
  if (span === undefined) return [];
  const parent = spans.find(({ spanId }) => spanId === span.parentId);
  return [span.name, ...pathOf(spans, parent)];
}

describe('one worker', () => {
  let service: TestService;
  let client: Client;
  beforeAll(async () => {
    service = await start();
    client = createClient(service.baseUrl);
  });
  afterAll(() => service.close());

  test('a read: the request by its route, the cache with its reason, the command of MongoDB', async () => {
    const { access_token: token, user } = await register(client);
    await new Promise((resolve) => setTimeout(resolve, 60));
    const { traceId, headers } = newTrace();
    const url = `/api/users/${user.id}?x=secret-of-the-query`;
    expect((await client('GET', url.split('?')[0] ?? '', { token, headers })).status).toBe(200);
    const spans = await receiver.traceWith('GET /api/users/:id', traceId);
    const [server] = named(spans, 'GET /api/users/:id');
    expect(server).toMatchObject({ kind: 'server', parentId: 'b'.repeat(16), isError: false });
    expect(server?.attributes).toMatchObject({
      'http.request.method': 'GET',
      'http.route': '/api/users/:id',
      'http.response.status_code': 200,
      'url.path': `/api/users/${user.id}`,
      'url.scheme': 'http',
      'server.address': '127.0.0.1',
    });
    const [read] = named(spans, 'cache read user');
    expect(read?.attributes).toMatchObject({
      'cache.answered_by': 'mongodb',
      'cache.reason': 'no_redis',
    });
    const [find] = named(spans, 'find users');
    expect(find).toMatchObject({
      kind: 'client',
      attributes: {
        'db.system.name': 'mongodb',
        'db.operation.name': 'find',
        'db.collection.name': 'users',
      },
    });
    expect(pathOf(spans, find)).toEqual(['find users', 'cache read user', 'GET /api/users/:id']);
  });

  test('a second read is answered by the local entry', async () => {
    const { access_token: token } = await register(client);
    const { traceId, headers } = newTrace();
    const unchecked = createClient(service.baseUrl, { unchecked: true });
    await eventually('a read within the lifetime of the entry', async () => {
      await unchecked('GET', '/api/auth/profile', { token, headers });
      await unchecked('GET', '/api/auth/profile', { token, headers });
      await receiver.traceWith('GET /api/auth/profile', traceId);
      return receiver.spans.some(
        (span) => span.traceId === traceId && span.attributes['cache.answered_by'] === 'local',
      );
    });
  });

  test('a login: the hash queue, and nothing that the client wrote', async () => {
    const { user } = await register(client);
    const { traceId, headers } = newTrace();
    const body = { email: user.email, password: PASSWORD };
    const path = '/api/auth/login';
    const { json } = await client('POST', path, { body, headers });
    const spans = await receiver.traceWith('POST /api/auth/login', traceId);
    for (const name of ['password hash wait', 'password hash'])
      expect(pathOf(spans, named(spans, name)[0])).toEqual([name, 'POST /api/auth/login']);
    expect(spans.filter(({ kind }) => kind === 'client').length).toBeGreaterThan(1);
    const text = JSON.stringify(spans);
    for (const secret of [user.email, PASSWORD, json.access_token, json.refresh_token])
      expect(text.includes(secret)).toBe(false);
  });

  test('a path without a route is not recorded, nor is a query', async () => {
    const { traceId, headers } = newTrace();
    await client('GET', '/nobody@example.org/x?token=abc', { headers });
    const spans = await receiver.traceWith('GET', traceId);
    expect(spans[0]?.attributes).toMatchObject({ 'http.response.status_code': 404 });
    expect(JSON.stringify(spans)).not.toMatch(/nobody|token|abc/);
  });

  test('a path parameter is recorded only if it is an id', async () => {
    const { access_token: token } = await register(client);
    for (const [status, method, given] of [
      [401, 'GET', undefined],
      [400, 'DELETE', token],
      [405, 'POST', token],
    ] as const) {
      const { traceId, headers } = newTrace();
      const url = '/api/users/ada@example.org';
      const answer = await client(method, url, { headers, ...(given && { token: given }) });
      const name = `${method} /api/users/:id`;
      const [span] = named(await receiver.traceWith(name, traceId), name);
      expect([answer.status, span?.attributes['url.path']]).toEqual([status, '/api/users/:id']);
      expect(JSON.stringify(receiver.spans.filter((one) => one.traceId === traceId))).not.toMatch(
        /ada/,
      );
      expect(JSON.stringify(lines.filter((line) => line['trace_id'] === traceId))).not.toMatch(
        /ada/,
      );
      expect(answer.text).not.toMatch(/ada/);
    }
  });

  test('a mail and its background job are in the trace of the request', async () => {
    const { traceId, headers } = newTrace();
    const email = uniqueEmail();
    await register(client);
    const body = { name: 'Ada', email, password: PASSWORD };
    expect((await client('POST', '/api/auth/register', { body, headers })).status).toBe(201);
    await smtp.waitFor(email, /./);
    const spans = await receiver.traceWith('mail verify-email', traceId);
    const [mail] = named(spans, 'mail verify-email');
    expect(pathOf(spans, mail).at(-1)).toBe('POST /api/auth/register');
    expect(mail?.attributes).toMatchObject({ 'mail.kind': 'verify-email', 'mail.attempt': 1 });
    expect(JSON.stringify(spans)).not.toContain(email);
  });

  test('a problem and the log lines of its request name the trace', async () => {
    const { traceId, headers } = newTrace();
    const { json } = await client('GET', '/api/auth/profile', { headers });
    expect(json.instance).toMatch(new RegExp(`^urn:request:[0-9a-f-]{36}\\?=trace_id=${traceId}$`));
    const spans = await receiver.traceWith('GET /api/auth/profile', traceId);
    const line = await eventually('the line', () =>
      lines.find(({ msg, trace_id }) => msg === 'request' && trace_id === traceId),
    );
    expect(line['span_id']).toBe(named(spans, 'GET /api/auth/profile')[0]?.spanId);
  });

  test('a trace that its caller does not sample leaves no span, and keeps its id in the log', async () => {
    const { access_token: token } = await register(client);
    const silent = newTrace('00');
    await client('GET', '/api/auth/profile', { token, headers: silent.headers });
    const after = newTrace();
    await client('GET', '/api/auth/profile', { token, headers: after.headers });
    await receiver.traceWith('GET /api/auth/profile', after.traceId);
    expect(receiver.spans.filter(({ traceId }) => traceId === silent.traceId)).toEqual([]);
    expect(lines.some(({ trace_id }) => trace_id === silent.traceId)).toBe(true);
    // Neither do requests that nobody traces, with a ratio of 0.
    expect(named(receiver.spans, 'GET /openapi.json')).toEqual([]);
  });
});

describeWithRedis('with Redis', () => {
  let redis: TestRedis;
  let service: TestService;
  beforeAll(async () => {
    redis = await startTestRedis();
    service = await start({ REDIS_URL: redis.url, NEAR_CACHE_TTL_MS: '0' });
  });
  afterAll(async () => {
    await service.close();
    await redis.close();
  });

  test('a read that Redis answers shows its command, and no command of MongoDB', async () => {
    const client = createClient(service.baseUrl, { unchecked: true });
    const { access_token: token } = await register(client);
    const read = async () => {
      const { traceId, headers } = newTrace();
      await client('GET', '/api/auth/profile', { token, headers });
      const spans = await receiver.traceWith('GET /api/auth/profile', traceId);
      const [found] = named(spans, 'cache read user');
      return { spans, found, by: found?.attributes['cache.answered_by'] };
    };
    const first = await read();
    expect(first).toMatchObject({ by: 'mongodb' });
    expect(first.found?.attributes['cache.reason']).toBe('absent');
    const { spans } = await eventually('a read from Redis', async () => {
      const seen = await read();
      return seen.by === 'redis' && seen;
    });
    const [command] = named(spans, 'MGET');
    expect(command).toMatchObject({
      kind: 'client',
      attributes: { 'db.system.name': 'redis', 'server.port': redis.port },
    });
    expect(pathOf(spans, command)).toEqual(['MGET', 'cache read user', 'GET /api/auth/profile']);
    expect(named(spans, 'find users')).toEqual([]);
  });
});
