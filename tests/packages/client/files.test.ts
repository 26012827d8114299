import { getEventListeners } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type Client, createClient } from '../../../packages/client/src';
import { startTestService, type TestService } from '../../support/app';
import { until } from '../../support/service';

/** Operations that take or give something else than JSON. */

let service: TestService;
let client: Client;
beforeAll(async () => {
  service = await startTestService();
  client = createClient({ baseUrl: service.baseUrl });
  const { email, password } = service.admin;
  await client.auth.login({ email, password });
});
afterAll(async () => {
  client?.close();
  await service?.close();
});

const line = (n: number) => `{"email":"imported-${n}@example.org","name":"Imported ${n}"}\n`;
const bytes = (text: string) => new TextEncoder().encode(text);
const streamOf = (text: string) =>
  new ReadableStream<Uint8Array>({
    start(to) {
      to.enqueue(bytes(text));
      to.close();
    },
  });

async function finished(id: string) {
  const read = () => client.request('GET', '/api/jobs/{id}', { path: { id } });
  await until('the end of the job', async () => (await read()).state === 'done', 30_000);
  return read();
}

test.each([
  ['a text', line(1), {}],
  ['bytes', bytes(line(2)), {}],
  ['a Blob', new Blob([line(3)], { type: 'text/plain' }), {}],
  ['a stream', streamOf(line(4)), {}],
  ['CSV', 'email,name\nimported-5@example.org,Imported 5\n', { 'Content-Type': 'text/csv' }],
])('imports %s as it is', async (_, body, headers) => {
  const { id } = await client.request('POST', '/api/users/import', { body, headers });
  expect(await finished(id)).toMatchObject({ progress: { created: 1 } });
});

test('exports as NDJSON and as CSV', async () => {
  const ndjson = await client.request('GET', '/api/users/export');
  expect(ndjson.headers.get('content-type')).toContain('application/x-ndjson');
  const emails = (await ndjson.text())
    .trim()
    .split('\n')
    .map((one) => (JSON.parse(one) as { email: string }).email);
  expect(emails).toContain(service.admin.email);
  const csv = await client.request('GET', '/api/users/export', { query: { format: 'csv' } });
  expect(csv.headers.get('content-type')).toContain('text/csv');
  expect(await csv.text()).toContain(service.admin.email);
});

test('reads the report of a job, also an empty one, and its events', async () => {
  const body = `${line(6)}{"email":"no address"}\n`;
  const bad = await client.request('POST', '/api/users/import', { body });
  const good = await client.request('POST', '/api/users/import', { body: line(7) });
  await finished(bad.id);
  await finished(good.id);
  const report = async (id: string) =>
    (await client.request('GET', '/api/jobs/{id}/report', { path: { id } })).text();
  expect(await report(bad.id)).toContain('no address');
  expect(await report(good.id)).toBe('');
  const follow = (headers = {}) =>
    client.request('GET', '/api/jobs/{id}/events', { path: { id: good.id }, headers });
  const [, last] = /^id: (\d+)\nevent: end$/m.exec((await (await follow())?.text()) ?? '') ?? [];
  expect(last).toBeDefined();
  // 204: there is no later one.
  expect(await follow({ 'Last-Event-ID': last })).toBeUndefined();
});

test('a refusal of such an operation is a ProblemError', async () => {
  const path = { id: '0'.repeat(24) };
  const call = client.request('GET', '/api/jobs/{id}/report', { path });
  await expect(call).rejects.toMatchObject({ name: 'ProblemError', status: 404 });
});

test('a stream goes on after its call, until the caller ends it', async () => {
  const control = new AbortController();
  const { signal } = control;
  const options = { signal, timeoutMs: 1000 };
  const events = await client.request('GET', '/api/events/stream', options);
  const reader = events.body?.getReader();
  // Past the time of the call.
  await new Promise((resolve) => setTimeout(resolve, 1200));
  const body = { name: 'Ada', email: 'streamed@example.org' };
  await client.request('POST', '/api/users', { body });
  let text = '';
  while (!text.includes('user.created')) {
    const { value, done } = (await reader?.read()) ?? {};
    if (done === true) throw new Error(`the stream ended after ${text}`);
    text += new TextDecoder().decode(value as Uint8Array);
  }
  control.abort('enough');
  await expect(reader?.read()).rejects.toMatchObject({ code: 'aborted', cause: 'enough' });
  const other = new AbortController();
  const unread = await client.request('GET', '/api/users/export', { signal: other.signal });
  await unread.body?.cancel();
  expect(getEventListeners(other.signal, 'abort')).toHaveLength(0);
});

test('an answer that ends too early is no whole one', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 100\r\n\r\nemail');
      setTimeout(() => socket.destroy(), 20);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const one = createClient({ baseUrl: `http://127.0.0.1:${port}` });
    const answer = await one.request('GET', '/api/users/export');
    await expect(answer.text()).rejects.toThrow();
  } finally {
    server.close();
  }
});
