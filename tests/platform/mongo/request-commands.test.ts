import { connect, createServer, type Server, type Socket } from 'node:net';
import { startTestService, type TestService } from '../../support/app';
import { type Client, createClient, register } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { until } from '../../support/service';

const DELAY_MS = 1500;
let mongo: TestMongo;
let proxy: Awaited<ReturnType<typeof startDelay>>;
let service: TestService;
let client: Client;
const lines: Record<string, unknown>[] = [];

beforeAll(async () => {
  mongo = await startTestMongo();
  proxy = await startDelay(mongo.uri);
  const logTo = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const settings = {
    ...{
      LOG_LEVEL: 'info',
      DB_OPERATION_TIMEOUT_MS: '10000',
      SOCKET_TIMEOUT_MS: '60000',
      CACHE_WRITER_TTL_MS: '25000',
    },
    ...{ HASH_CONCURRENCY: '1', BCRYPT_COST: '10', NEAR_CACHE_TTL_MS: '0' },
  };
  service = await startTestService(settings, { uri: proxy.uri }, logTo);
  client = createClient(service.baseUrl, { unchecked: true });
}, 60_000);
afterAll(async () => {
  await service?.close();
  await proxy?.close();
  await mongo?.close();
});

/** A proxy that delays the messages in which `word` occurs. */
async function startDelay(uri: string) {
  const [, host = ''] = /^mongodb:\/\/([^/?]+)/.exec(uri) ?? [];
  const sockets = new Set<Socket>();
  let word = 'slow-request';
  const server: Server = createServer((near) => {
    const far = connect(decodeURIComponent(host));
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    }
    near.on('data', (chunk: Buffer) => {
      if (chunk.includes(word)) setTimeout(() => far.write(chunk), DELAY_MS);
      else far.write(chunk);
    });
    far.pipe(near);
    near.once('close', () => far.destroy());
    far.once('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    uri: uri.replace(host, `127.0.0.1:${port}`),
    async close() {
      word = 'no message has this';
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const lineOf = (id: string) =>
  until(`the line of ${id}`, () => lines.find((line) => line['request_id'] === id));
const as = (id: string, token?: string) => ({
  headers: { 'x-request-id': id },
  ...(token === undefined ? {} : { token }),
});

test('the log line says where a slow request waited, and not one beside it', async () => {
  const [one, other] = [await register(client), await register(client)];
  const sent = [
    client('GET', '/api/auth/sessions', as('slow-request', one.access_token)),
    client('GET', '/api/auth/sessions', as('fast-request', other.access_token)),
  ];
  expect((await Promise.all(sent)).map(({ status }) => status)).toEqual([200, 200]);
  const [slow, fast] = [await lineOf('slow-request'), await lineOf('fast-request')];
  expect(slow['mongodb_ms']).toBeGreaterThanOrEqual(DELAY_MS - 1);
  expect(slow['mongodb_ms']).toBeLessThanOrEqual(Number(slow['duration_ms']));
  // Of the slow one only: its commands alone were delayed.
  expect(fast['mongodb_ms']).toBeGreaterThan(0);
  expect(fast['mongodb_ms']).toBeLessThanOrEqual(Number(fast['duration_ms']));
  expect(Number(fast['mongodb_ms'])).toBeLessThan(Number(slow['mongodb_ms']));
}, 60_000);

test('a login that waits for the hash queue says so', async () => {
  const { user, password } = await register(client);
  const body = { email: user.email, password };
  const logins = ['login-1', 'login-2', 'login-3'].map((id) =>
    client('POST', '/api/auth/login', { ...as(id), body }),
  );
  expect((await Promise.all(logins)).map(({ status }) => status)).toEqual([200, 200, 200]);
  const found = await Promise.all(['login-1', 'login-2', 'login-3'].map(lineOf));
  expect(found.every((line) => Number(line['hash_ms']) > 0)).toBe(true);
  // One hash at a time: at most the first waits for none.
  expect(found.filter((line) => Number(line['hash_queue_ms']) > 0).length).toBeGreaterThan(1);
}, 60_000);

test('an id with other characters never reaches MongoDB', async () => {
  const seen: unknown[] = [];
  service.database.connection.getClient().on('commandStarted', ({ command }) => {
    if (command['comment'] !== undefined) seen.push(command['comment']);
  });
  const { access_token } = await register(client);
  for (const id of ['{"$where":1}', 'a'.repeat(129), '$gt']) {
    const answer = await client('GET', '/api/auth/sessions', as(id, access_token));
    expect(answer.headers.get('x-request-id')).not.toBe(id);
  }
  expect(seen.length).toBeGreaterThan(0);
  expect(seen.filter((one) => !/^[A-Za-z0-9._~:-]{1,128}$/.test(String(one)))).toEqual([]);
}, 60_000);

test('a read that a local cache entry answers has no such fields', async () => {
  const near = await startTestService(
    { LOG_LEVEL: 'info', NEAR_CACHE_TTL_MS: '5000' },
    { uri: mongo.uri },
    { write: (line: string) => void lines.push(JSON.parse(line)) },
  );
  try {
    const reader = createClient(near.baseUrl, { unchecked: true });
    const { access_token: token } = await register(reader);
    await reader('GET', '/api/auth/profile', as('first-read', token));
    await reader('GET', '/api/auth/profile', as('near-read', token));
    const waits = Object.keys(await lineOf('near-read')).filter((key) => key.endsWith('_ms'));
    expect(waits).toEqual(['duration_ms']);
  } finally {
    await near.close();
  }
}, 60_000);
