import { randomUUID } from 'node:crypto';
import type { Request } from 'express';
import { decrypt, encrypt } from '../../../src/kernel/crypto/encryption';
import { Problem, problems } from '../../../src/kernel/errors';
import { createIdempotency } from '../../../src/platform/http/idempotency';
import {
  createIdempotencyStore,
  IDEMPOTENCY_COLLECTION,
} from '../../../src/platform/http/idempotency-store';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { startTestService, type TestService } from '../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../support/http';

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
  client('POST', path, {
    body,
    headers: { 'idempotency-key': key },
    ...(token === undefined ? {} : { token }),
  });
const usersWith = (email: string) =>
  service.database.connection.collection('users').countDocuments({ emailKey: email });
const documents = () => service.database.connection.collection(IDEMPOTENCY_COLLECTION);

test('a repeat gets the first response, byte for byte, marked as replayed', async () => {
  const [key, body] = [randomUUID(), newUser()];
  const first = await keyed(key, body);
  const again = await keyed(key, body);
  expect([first.status, first.headers.get('idempotent-replayed')]).toEqual([201, null]);
  expect([again.status, again.headers.get('idempotent-replayed'), again.text]).toEqual([
    201,
    'true',
    first.text,
  ]);
  for (const name of ['location', 'cache-control', 'content-type'])
    expect(again.headers.get(name)).toBe(first.headers.get(name));
  expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
  expect(await usersWith(body.email)).toBe(1);
});

test.each([
  ['/api/auth/register', false],
  ['/api/users', true],
])(
  'a repeat of POST %s finds what was created by a worker that died before it answered',
  async (path, isByAdmin) => {
    const [key, body] = [randomUUID(), newUser()];
    const token = isByAdmin ? admin : undefined;
    const first = await keyed(key, body, path, token);
    expect(first.status).toBe(201);
    // As it is after the death: claimed, without an answer, and the lease has run out.
    const { modifiedCount } = await documents().updateMany(
      { answer: { $ne: null } },
      { $set: { answer: null, answerUntil: null, leaseUntil: new Date(0) } },
    );
    expect(modifiedCount).toBeGreaterThan(0);
    const again = await keyed(key, body, path, token);
    expect([again.status, again.headers.get('location')]).toEqual([
      201,
      first.headers.get('location'),
    ]);
    expect(await usersWith(body.email)).toBe(1);
    // Another key is another request.
    expect((await keyed(randomUUID(), body, path, token)).json.code).toBe('email_taken');
    // A removed user is not created again under its id.
    const id = first.headers.get('location')?.split('/').at(-1);
    await client('DELETE', `/api/users/${id}`, { token: admin });
    await documents().deleteMany({});
    const anew = await keyed(key, body, path, token);
    expect(anew.status).toBe(201);
    expect(anew.headers.get('location')).not.toBe(first.headers.get('location'));
  },
);

test('the quoted form of the draft is the same key', async () => {
  const [key, body] = [randomUUID(), newUser()];
  const first = await keyed(`"${key}"`, body);
  expect((await keyed(key, body)).text).toBe(first.text);
});

test('a problem is replayed too', async () => {
  const { user } = await register(client);
  const [key, body] = [randomUUID(), newUser(user.email)];
  const first = await keyed(key, body);
  const again = await keyed(key, body);
  expect([first.status, first.json.code]).toEqual([409, 'email_taken']);
  expect([again.status, again.headers.get('content-type'), again.text]).toEqual([
    409,
    'application/problem+json',
    first.text,
  ]);
});

test('a request refused before its work is not stored: the corrected request may use the same key', async () => {
  const [key, body] = [randomUUID(), newUser()];
  expect((await keyed(key, { ...body, password: 'short' })).status).toBe(422);
  expect((await keyed(key, body)).status).toBe(201);
});

test('another body under the same key: 422', async () => {
  const key = randomUUID();
  expect((await keyed(key, newUser())).status).toBe(201);
  const other = await keyed(key, newUser());
  expect([other.status, other.json.code, other.headers.get('content-type')]).toEqual([
    422,
    'idempotency_key_reused',
    'application/problem+json',
  ]);
  const created = newUser();
  const createKey = randomUUID();
  expect((await keyed(createKey, created, '/api/users', admin)).status).toBe(201);
  expect((await keyed(createKey, newUser(), '/api/users', admin)).status).toBe(422);
  const again = await keyed(createKey, created, '/api/users', admin);
  expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 'true']);
});

test('keys are separate per path and per user', async () => {
  const [key, body] = [randomUUID(), newUser()];
  expect((await keyed(key, body)).status).toBe(201);
  expect((await keyed(key, newUser(), '/api/users', admin)).status).toBe(201);
  const second = await register(client, {});
  await service.database.connection
    .collection('users')
    .updateOne({ emailKey: second.user.email }, { $set: { role: 'admin' } });
  const other = await login(client, second.user.email, second.password);
  expect((await keyed(key, newUser(), '/api/users', other)).status).toBe(201);
});

test.each(['short', 'has space in it', 'x'.repeat(129), '"unbalanced', 'comma,comma,comma', '""'])(
  'the key %p: 400',
  async (key) => {
    const answer = await keyed(key, newUser());
    expect([answer.status, answer.json.code]).toEqual([400, 'invalid_idempotency_key']);
  },
);

test('ten concurrent requests with one key create one user; each gets that response, or 409 with Retry-After', async () => {
  for (let round = 0; round < 5; round += 1) {
    const [key, body] = [randomUUID(), newUser()];
    const answers = await Promise.all(Array.from({ length: 10 }, () => keyed(key, body)));
    const done = answers.filter(({ status }) => status === 201);
    const waiting = answers.filter(({ status }) => status === 409);
    expect(done.length).toBeGreaterThanOrEqual(1);
    expect(done.length + waiting.length).toBe(10);
    expect(new Set(done.map(({ text }) => text)).size).toBe(1);
    for (const answer of waiting)
      expect([answer.json.code, answer.headers.get('retry-after')]).toEqual([
        'request_in_flight',
        '1',
      ]);
    expect(await usersWith(body.email)).toBe(1);
    expect((await keyed(key, body)).text).toBe(done[0]?.text);
  }
});

test('the store contains no token, password, e-mail address or key in plain text', async () => {
  const [key, body] = [randomUUID(), newUser()];
  const { json } = await keyed(key, body);
  const stored = await documents().find({}).toArray();
  const bytes = stored.map(
    (one) =>
      JSON.stringify(one) +
      [one['answer']?.data?.buffer ?? ''].map((b) => Buffer.from(b).toString('latin1')),
  );
  for (const secret of [key, body.email, body.password, json.access_token, json.refresh_token]) {
    expect(bytes.join('\n')).not.toContain(secret);
  }
  expect(stored.length).toBeGreaterThan(0);
});

test('an expired key is free again, even before its document is deleted', async () => {
  const [key, body] = [randomUUID(), newUser()];
  expect((await keyed(key, body)).status).toBe(201);
  await documents().updateMany({}, { $set: { until: new Date(Date.now() - 1) } });
  const later = await keyed(key, body);
  expect([later.status, later.headers.get('idempotent-replayed')]).toEqual([409, null]);
});

describe('the store and its leases', () => {
  const fingerprint = Buffer.alloc(32, 1);
  const answer = {
    salt: Buffer.from('s'),
    iv: Buffer.from('i'),
    tag: Buffer.from('t'),
    data: Buffer.from('d'),
  };
  const life = { answerSeconds: 60, keySeconds: 60 };
  const open = (leaseMs = 1000) =>
    createIdempotencyStore(service.database.connection, {
      leaseMs,
      longestMs: 10_000,
      abandonedSeconds: 60,
      timeoutMs: 2000,
    });
  /** Expires a field: the clock of the database decides, so a test moves the stored time. */
  const expire = (id: string, field: string) =>
    documents().updateOne({ _id: id } as never, [
      { $set: { [field]: { $subtract: ['$$NOW', 1] } } },
    ]);

  test('the key of a dead worker is free after its lease, and its late result is ignored', async () => {
    const [one, two, id] = [open(), open(), randomUUID()];
    const first = await one.claim(id, fingerprint);
    expect(first.kind).toBe('granted');
    expect((await two.claim(id, fingerprint)).kind).toBe('in_flight');
    await expire(id, 'leaseUntil');
    const second = await two.claim(id, fingerprint);
    if (first.kind !== 'granted' || second.kind !== 'granted')
      throw new Error(`${first.kind}, then ${second.kind}`);
    await one.release(first);
    await one.finish(first, answer, life);
    expect((await one.claim(id, fingerprint)).kind).toBe('in_flight');
    await two.finish(second, answer, life);
    expect(await one.claim(id, fingerprint)).toEqual({ kind: 'answered', answer });
  });

  test('the lease is extended while the work goes on, and for no longer', async () => {
    const [one, two, id] = [open(2000), open(2000), randomUUID()];
    const claim = await one.claim(id, fingerprint);
    if (claim.kind !== 'granted') throw new Error(claim.kind);
    await one.whileHeld(claim, async () => {
      const endMs = performance.now() + 5000;
      while (performance.now() < endMs) {
        expect((await two.claim(id, fingerprint)).kind).toBe('in_flight');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    });
    // As for a worker that was killed: nobody finishes.
    await eventually(
      'the claim of another worker',
      async () => (await two.claim(id, fingerprint)).kind === 'granted',
    );
  });

  test('another request cannot take over an abandoned key before it expires', async () => {
    const [store, id] = [open(), randomUUID()];
    await store.claim(id, fingerprint);
    await expire(id, 'leaseUntil');
    expect((await store.claim(id, Buffer.alloc(32, 2))).kind).toBe('other_request');
    await expire(id, 'until');
    expect((await store.claim(id, Buffer.alloc(32, 2))).kind).toBe('granted');
  });

  test('an expired response is deleted, and the key still counts as used', async () => {
    const [store, id] = [open(), randomUUID()];
    const claim = await store.claim(id, fingerprint);
    if (claim.kind !== 'granted') throw new Error(claim.kind);
    await store.finish(claim, answer, { answerSeconds: 1, keySeconds: 60 });
    expect(await store.claim(id, fingerprint)).toEqual({ kind: 'answered', answer });
    await expire(id, 'answerUntil');
    expect(await store.claim(id, fingerprint)).toEqual({ kind: 'answer_expired' });
    expect((await documents().findOne({ _id: id } as never))?.['answer']).toBeNull();
    expect((await store.claim(id, Buffer.alloc(32, 2))).kind).toBe('other_request');
  });

  test('one of 20 concurrent claims is granted', async () => {
    const id = randomUUID();
    const stores = [open(), open()];
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, i) => stores[i % 2]?.claim(id, fingerprint)),
    );
    expect(claims.filter((claim) => claim?.kind === 'granted')).toHaveLength(1);
  });
});

describe('lifetimes', () => {
  /** Remaining lifetimes of the key and the response of every document, in seconds. */
  async function remainingLifetimes(): Promise<{ key: number; answer: number }[]> {
    const left = (field: string) => ({ $divide: [{ $subtract: [field, '$$NOW'] }, 1000] });
    return (await documents()
      .aggregate([{ $project: { key: left('$until'), answer: left('$answerUntil') } }])
      .toArray()) as never;
  }
  beforeEach(async () => {
    await documents().deleteMany({});
  });

  test.each([
    ['without a token', () => keyed(randomUUID(), newUser()), 201],
    [
      'without a token, refused',
      () =>
        keyed(
          randomUUID(),
          { token: 'x'.repeat(43), new_password: PASSWORD },
          '/api/auth/password/reset',
        ),
      400,
    ],
    [
      'refused by the handler',
      () => keyed(randomUUID(), newUser(service.admin.email), '/api/users', admin),
      409,
    ],
  ])('%s: at most the window of the rate limits', async (_, ask, status) => {
    expect((await ask()).status).toBe(status);
    const [life] = await remainingLifetimes();
    expect(life?.key).toBeLessThanOrEqual(60);
    expect(life?.answer).toBeGreaterThan(50);
  });

  test('of a signed-in client: one day', async () => {
    expect((await keyed(randomUUID(), newUser(), '/api/users', admin)).status).toBe(201);
    const [life] = await remainingLifetimes();
    expect(life?.answer).toBeGreaterThan(86_000);
    expect(life?.key).toBeGreaterThan(86_000);
  });

  test('a secret that is shown once: the window; afterwards neither work nor secret is repeated', async () => {
    const [key, body] = [randomUUID(), { name: 'Reporting', scopes: ['users:read'] }];
    const first = await keyed(key, body, '/api/service-accounts', admin);
    expect(first.json.client_secret).toMatch(/^svcsk_/);
    expect((await keyed(key, body, '/api/service-accounts', admin)).text).toBe(first.text);
    const [life] = await remainingLifetimes();
    expect(life?.answer).toBeLessThanOrEqual(60);
    expect(life?.key).toBeGreaterThan(86_000);
    await documents().updateMany({}, [{ $set: { answerUntil: { $subtract: ['$$NOW', 1] } } }]);
    const later = await keyed(key, body, '/api/service-accounts', admin);
    expect([later.status, later.json.code]).toEqual([409, 'answer_no_longer_kept']);
    expect(
      await service.database.connection
        .collection('service_accounts')
        .countDocuments({ name: body.name }),
    ).toBe(1);
  });

  test('refused refreshes with random keys store nothing', async () => {
    for (let i = 0; i < 5; i += 1) {
      const refused = await keyed(
        randomUUID(),
        { refresh_token: 'x'.repeat(80) },
        '/api/auth/refresh',
      );
      expect([refused.status, refused.json.code]).toEqual([401, 'invalid_refresh_token']);
    }
    expect(await documents().countDocuments({})).toBe(0);
  });
});

describe('operations that ignore a key', () => {
  test('a logout with the key of an earlier one ends this session too', async () => {
    const { user, password, access_token: first } = await register(client);
    const key = randomUUID();
    expect((await keyed(key, undefined, '/api/auth/logout', first)).status).toBe(204);
    const second = await login(client, user.email, password);
    const answer = await keyed(key, undefined, '/api/auth/logout', second);
    expect([answer.status, answer.headers.get('idempotent-replayed')]).toEqual([204, null]);
    expect((await client('GET', '/api/auth/profile', { token: second })).status).toBe(401);
  });

  test('each login creates a new session', async () => {
    const { user, password } = await register(client);
    const key = randomUUID();
    const ask = () => keyed(key, { email: user.email, password }, '/api/auth/login');
    const [one, two] = [await ask(), await ask()];
    expect([one.status, two.status, two.headers.get('idempotent-replayed')]).toEqual([
      200,
      200,
      null,
    ]);
    expect(two.json.refresh_token).not.toBe(one.json.refresh_token);
  });

  test('the OpenAPI document lists them without a replay', async () => {
    const { json: document } = await client('GET', '/openapi.json');
    const posts = Object.entries(
      document.paths as Record<string, Record<string, Operation>>,
    ).flatMap(([path, { post }]) => (post === undefined ? [] : [{ path, post }]));
    const without = posts.filter(
      ({ post }) => !post.parameters.some(({ $ref = '' }) => $ref.endsWith('/Idempotency-Key')),
    );
    // Their answers have tokens, codes or challenges, which no record of answers may hold.
    const withSecrets = [
      ...['email-sign-in', 'email-sign-in/verify', 'factors/recovery-codes', 'factors/totp'],
      ...['factors/totp/confirm', 'identities', 'identities/{provider}/link', 'introspect'],
      ...['login', 'logout', 'mfa/step-up', 'mfa/totp', 'mfa/verify', 'oidc/token'],
      ...['passkeys/registration', 'passkeys/registration/options'],
      ...['passkeys/second-factor/options', 'passkeys/sign-in', 'passkeys/sign-in/options'],
      ...['passkeys/step-up/options', 'password/required', 'refresh', 'revoke'],
      ...['security-events', 'token'],
    ];
    expect(without.map(({ path }) => path).sort()).toEqual([
      ...withSecrets.map((name) => `/api/auth/${name}`),
      // A repeat changes nothing, or is answered by the record of each line.
      '/api/jobs/{id}/cancel',
      '/api/users/import',
      // Each is a test of its own.
      '/api/webhooks/{id}/test',
    ]);
    for (const { post } of without) {
      expect(post.description).toContain('`Idempotency-Key` is ignored');
      expect(JSON.stringify(post)).not.toContain('Idempotent-Replayed');
    }
  });
});

interface Operation {
  readonly description?: string;
  readonly parameters: readonly { readonly $ref?: string }[];
}

test('keys are separate per session of a user', async () => {
  const again = await login(client, service.admin.email, service.admin.password);
  const [key, body] = [randomUUID(), newUser()];
  expect((await keyed(key, body, '/api/users', admin)).status).toBe(201);
  const other = await keyed(key, body, '/api/users', again);
  expect([other.status, other.json.code, other.headers.get('idempotent-replayed')]).toEqual([
    409,
    'email_taken',
    null,
  ]);
});

describe('responses that are not stored', () => {
  const request = {
    method: 'POST',
    path: '/x',
    originalUrl: '/x',
    headers: {},
    context: { clientAddress: '192.0.2.1', id: 'r' },
  } as Request;
  const open = () =>
    createIdempotency({
      store: createIdempotencyStore(service.database.connection, {
        leaseMs: 30_000,
        longestMs: 30_000,
        abandonedSeconds: 60,
        timeoutMs: 2000,
      }),
      ttlSeconds: 60,
      shortTtlSeconds: 60,
      secret: 'x'.repeat(32),
      ...{ encrypt, decrypt, log: createLogger({ level: 'silent' }) },
    });

  test.each([
    ['an internal error', new Error('bug')],
    ['503', problems.unavailable('busy', 'Busy.', 1)],
    ['429', new Problem(429, 'rate_limited', 'Too many requests')],
  ])('%s: a retry does the work again', async (_, failure) => {
    const [idempotency, key] = [open(), randomUUID()];
    await expect(idempotency.run(request, key, () => Promise.reject(failure))).rejects.toBe(
      failure,
    );
    expect(await idempotency.run(request, key, () => ({ status: 204 }))).toEqual({ status: 204 });
  });

  test('a response that is too large', async () => {
    const [idempotency, key] = [open(), randomUUID()];
    let calls = 0;
    const work = () => ({ status: 200, body: { text: 'x'.repeat(70_000), calls: ++calls } });
    await idempotency.run(request, key, work);
    await idempotency.run(request, key, work);
    expect(calls).toBe(2);
  });
});
