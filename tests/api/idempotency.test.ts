import { randomUUID } from 'node:crypto';
import type { Request } from 'express';
import { seal, unseal } from '../../src/auth/sealing';
import { createIdempotencyStore, IDEMPOTENCY_COLLECTION } from '../../src/data/idempotency';
import { Problem, problems } from '../../src/errors';
import { createIdempotency } from '../../src/http/idempotency';
import { createLogger } from '../../src/observability/logger';
import { startTestService, type TestService } from '../support/app';
import { type Client, createClient, login, PASSWORD, register, uniqueEmail } from '../support/http';

let service: TestService;
let client: Client;
let admin: string;
beforeAll(async () => {
  service = await startTestService();
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const newUser = (email = uniqueEmail()) => ({ name: 'Ada', email, password: PASSWORD });
const keyed = (key: string, body: unknown, path = '/api/auth/register', token?: string) =>
  client('POST', path, { body, headers: { 'idempotency-key': key }, ...(token === undefined ? {} : { token }) });
const usersWith = (email: string) => service.database.connection.collection('users').countDocuments({ emailKey: email });
const documents = () => service.database.connection.collection(IDEMPOTENCY_COLLECTION);

test('a repeat gets the first answer, byte for byte, and says so', async () => {
  const [key, body] = [randomUUID(), newUser()];
  const first = await keyed(key, body);
  const again = await keyed(key, body);
  expect([first.status, first.headers.get('idempotent-replayed')]).toEqual([201, null]);
  expect([again.status, again.headers.get('idempotent-replayed'), again.text]).toEqual([201, 'true', first.text]);
  for (const name of ['location', 'cache-control', 'content-type']) expect(again.headers.get(name)).toBe(first.headers.get(name));
  expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
  expect(await usersWith(body.email)).toBe(1);
});

test('the quoted form of the draft is the same key', async () => {
  const [key, body] = [randomUUID(), newUser()];
  const first = await keyed(`"${key}"`, body);
  expect((await keyed(key, body)).text).toBe(first.text);
});

test('a problem is an answer too: its repeat is the same one', async () => {
  const { user } = await register(client);
  const [key, body] = [randomUUID(), newUser(user.email)];
  const first = await keyed(key, body);
  const again = await keyed(key, body);
  expect([first.status, first.json.code]).toEqual([409, 'email_taken']);
  expect([again.status, again.headers.get('content-type'), again.text]).toEqual([409, 'application/problem+json', first.text]);
});

test('what was refused before any work was done is not kept: the corrected request may have the same key', async () => {
  const [key, body] = [randomUUID(), newUser()];
  expect((await keyed(key, { ...body, password: 'short' })).status).toBe(422);
  expect((await keyed(key, body)).status).toBe(201);
});

test('another body, query or client under the same key: 422', async () => {
  const key = randomUUID();
  expect((await keyed(key, newUser())).status).toBe(201);
  const other = await keyed(key, newUser());
  expect([other.status, other.json.code, other.headers.get('content-type')]).toEqual([
    422,
    'idempotency_key_reused',
    'application/problem+json',
  ]);
  const { access_token: token } = await register(client);
  const logoutKey = randomUUID();
  expect((await keyed(logoutKey, undefined, '/api/auth/logout?scope=others', token)).status).toBe(204);
  expect((await keyed(logoutKey, undefined, '/api/auth/logout?scope=local', token)).status).toBe(422);
  const again = await keyed(logoutKey, undefined, '/api/auth/logout?scope=others', token);
  expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([204, 'true']);
});

test('another path, or another user, has keys of its own', async () => {
  const [key, body] = [randomUUID(), newUser()];
  expect((await keyed(key, body)).status).toBe(201);
  expect((await keyed(key, newUser(), '/api/users', admin)).status).toBe(201);
  const second = await register(client, {});
  await service.database.connection.collection('users').updateOne({ emailKey: second.user.email }, { $set: { role: 'admin' } });
  const other = await login(client, second.user.email, second.password);
  expect((await keyed(key, newUser(), '/api/users', other)).status).toBe(201);
});

test.each(['short', 'has space in it', 'x'.repeat(129), '"unbalanced', 'comma,comma,comma', '""'])('the key %p: 400', async (key) => {
  const answer = await keyed(key, newUser());
  expect([answer.status, answer.json.code]).toEqual([400, 'invalid_idempotency_key']);
});

test('ten at once with one key make one user; each gets that answer, or 409 with Retry-After', async () => {
  for (let round = 0; round < 5; round += 1) {
    const [key, body] = [randomUUID(), newUser()];
    const answers = await Promise.all(Array.from({ length: 10 }, () => keyed(key, body)));
    const done = answers.filter(({ status }) => status === 201);
    const waiting = answers.filter(({ status }) => status === 409);
    expect(done.length).toBeGreaterThanOrEqual(1);
    expect(done.length + waiting.length).toBe(10);
    expect(new Set(done.map(({ text }) => text)).size).toBe(1);
    for (const answer of waiting) expect([answer.json.code, answer.headers.get('retry-after')]).toEqual(['request_in_flight', '1']);
    expect(await usersWith(body.email)).toBe(1);
    expect((await keyed(key, body)).text).toBe(done[0]?.text);
  }
});

test('nothing that is stored can be used: no token, no password, no e-mail, no key', async () => {
  const [key, body] = [randomUUID(), newUser()];
  const { json } = await keyed(key, body);
  const stored = await documents().find({}).toArray();
  const bytes = stored.map(
    (one) => JSON.stringify(one) + [one['answer']?.data?.buffer ?? ''].map((b) => Buffer.from(b).toString('latin1')),
  );
  for (const secret of [key, body.email, body.password, json.access_token, json.refresh_token]) {
    expect(bytes.join('\n')).not.toContain(secret);
  }
  expect(stored.length).toBeGreaterThan(0);
});

test('a key is good again when its time is over, whether or not its document was deleted', async () => {
  const [key, body] = [randomUUID(), newUser()];
  expect((await keyed(key, body)).status).toBe(201);
  await documents().updateMany({}, { $set: { until: new Date(Date.now() - 1) } });
  const later = await keyed(key, body);
  expect([later.status, later.headers.get('idempotent-replayed')]).toEqual([409, null]);
});

describe('the store and its leases', () => {
  const fingerprint = Buffer.alloc(32, 1);
  const answer = { salt: Buffer.from('s'), iv: Buffer.from('i'), tag: Buffer.from('t'), data: Buffer.from('d') };
  let clock = 0;
  const open = () =>
    createIdempotencyStore(service.database.connection, { ttlSeconds: 60, leaseMs: 1000, timeoutMs: 2000, now: () => clock });
  beforeEach(() => {
    clock = Date.now();
  });

  test('a worker that died holds its key no longer than its lease; what it says later is not heard', async () => {
    const [one, two, id] = [open(), open(), randomUUID()];
    const first = await one.claim(id, fingerprint);
    expect(first.kind).toBe('granted');
    expect((await two.claim(id, fingerprint)).kind).toBe('in_flight');
    clock += 1000;
    const second = await two.claim(id, fingerprint);
    if (first.kind !== 'granted' || second.kind !== 'granted') throw new Error(`${first.kind}, then ${second.kind}`);
    await one.release(first);
    await one.finish(first, answer);
    expect((await one.claim(id, fingerprint)).kind).toBe('in_flight');
    await two.finish(second, answer);
    expect(await one.claim(id, fingerprint)).toEqual({ kind: 'answered', answer });
  });

  test('another request cannot take over an abandoned key; all are free when the time is over', async () => {
    const [store, id] = [open(), randomUUID()];
    await store.claim(id, fingerprint);
    clock += 1000;
    expect((await store.claim(id, Buffer.alloc(32, 2))).kind).toBe('other_request');
    clock += 60_000;
    expect((await store.claim(id, Buffer.alloc(32, 2))).kind).toBe('granted');
  });

  test('of 20 claims at once one is granted', async () => {
    const id = randomUUID();
    const stores = [open(), open()];
    const claims = await Promise.all(Array.from({ length: 20 }, (_, i) => stores[i % 2]?.claim(id, fingerprint)));
    expect(claims.filter((claim) => claim?.kind === 'granted')).toHaveLength(1);
  });
});

describe('answers that are not kept', () => {
  const request = { method: 'POST', path: '/x', originalUrl: '/x', headers: {}, clientAddress: '192.0.2.1', id: 'r' } as Request;
  const open = () =>
    createIdempotency({
      store: createIdempotencyStore(service.database.connection, { ttlSeconds: 60, leaseMs: 30_000, timeoutMs: 2000 }),
      secret: 'x'.repeat(32),
      ...{ seal, unseal, log: createLogger({ level: 'silent' }) },
    });

  test.each([
    ['a fault of ours', new Error('bug')],
    ['503', problems.unavailable('busy', 'Busy.', 1)],
    ['429', new Problem(429, 'rate_limited', 'Too many requests')],
  ])('%s: the next try is done anew', async (_, failure) => {
    const [idempotency, key] = [open(), randomUUID()];
    await expect(idempotency.run(request, key, () => Promise.reject(failure))).rejects.toBe(failure);
    expect(await idempotency.run(request, key, () => ({ status: 204 }))).toEqual({ status: 204 });
  });

  test('one that is too large', async () => {
    const [idempotency, key] = [open(), randomUUID()];
    let calls = 0;
    const work = () => ({ status: 200, body: { text: 'x'.repeat(70_000), calls: ++calls } });
    await idempotency.run(request, key, work);
    await idempotency.run(request, key, work);
    expect(calls).toBe(2);
  });
});
