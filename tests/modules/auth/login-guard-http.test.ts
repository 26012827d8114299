import { setTimeout as sleep } from 'node:timers/promises';
import { type MongoProxy, startMongoProxy } from '../../../faults/mongo-proxy';
import { startTestService, type TestService } from '../../support/app';
import {
  type Answer,
  type Client,
  createClient,
  eventually,
  PASSWORD,
  register,
  login as signIn,
  uniqueEmail,
} from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis';
import { startTestSmtp, type TestSmtp } from '../../support/smtp';

const HOME = '198.51.100.7';
const STRANGER = '203.0.113.5';
const from = (address: string) => ({ 'x-forwarded-for': address, 'user-agent': 'browser/1' });
const loginAt = (at: Client, email: string, password: string, address = STRANGER) =>
  at('POST', '/api/auth/login', { body: { email, password }, headers: from(address) });
const statusesOf = (answers: readonly Answer[]) => answers.map(({ status }) => status);
const times = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));
/** Windows are aligned to the clock: a test that counts within one must not straddle its end. */
const insideOneWindow = (windowMs: number, needMs: number) =>
  eventually(
    'a window with enough time left',
    () => windowMs - (Date.now() % windowMs) > needMs,
    needMs + 5000,
  );

async function accountAt(at: Client) {
  const email = uniqueEmail('guard');
  const answer = await at('POST', '/api/auth/register', {
    body: { name: 'Ada', email, password: PASSWORD },
    headers: from(HOME),
  });
  expect(answer.status).toBe(201);
  return { email, token: answer.json.access_token as string, id: answer.json.user.id as string };
}

describe('right passwords', () => {
  let service: TestService;
  let client: Client;
  beforeAll(async () => {
    // One failure locks: whatever is counted though it is right shows at once.
    const limits = ['ACCOUNT', 'ACCOUNT_DAY', 'DEVICE', 'NETWORK'].map((name) => [
      `LOGIN_ATTEMPTS_PER_${name}`,
      '1',
    ]);
    service = await startTestService({
      ...Object.fromEntries(limits),
      TRUST_PROXY: '1',
      SESSIONS_PER_USER: '100',
      // A slow machine is not what refuses a login here.
      ADMISSION_LOOP_BUDGET_MS: '10000',
    });
    client = createClient(service.baseUrl);
  });
  afterAll(() => service?.close());

  test.each([
    ['an unknown device', STRANGER],
    ['a known device', HOME],
  ])('12 at once from %s are all let in, and lock nothing', async (_, address) => {
    const { email } = await accountAt(client);
    const answers = await Promise.all(times(12, () => loginAt(client, email, PASSWORD, address)));
    const outcomes = answers.map(({ status, json }) => [status, json.code]);
    expect(outcomes).toEqual(times(12, () => [200, undefined]));
    expect((await loginAt(client, email, PASSWORD, address)).status).toBe(200);
  });

  test('concurrent right passwords lock nothing', async () => {
    const { token } = await accountAt(client);
    const change = () =>
      client('POST', '/api/auth/email/change', {
        token,
        body: { new_email: uniqueEmail('next'), current_password: PASSWORD },
        headers: from(HOME),
      });
    expect(statusesOf(await Promise.all(times(20, change)))).toEqual(times(20, () => 202));
  });
});

describe('a full hash queue', () => {
  let service: TestService;
  let client: Client;
  beforeAll(async () => {
    const limits = ['ACCOUNT', 'ACCOUNT_DAY', 'DEVICE', 'NETWORK'].map((name) => [
      `LOGIN_ATTEMPTS_PER_${name}`,
      '5',
    ]);
    service = await startTestService({
      ...Object.fromEntries(limits),
      ...{ HASH_QUEUE_MAX: '1', HASH_CONCURRENCY: '1', BCRYPT_COST: '9', TRUST_PROXY: '1' },
    });
    client = createClient(service.baseUrl);
  });
  afterAll(() => service?.close());

  test('counts no failures at login, password and email/change, and the owner gets in afterwards', async () => {
    const { email, token } = await accountAt(client);
    const own = { token, headers: from(HOME) };
    const doors: Record<string, () => Promise<Answer>> = {
      login: () => loginAt(client, email, PASSWORD, HOME),
      'email/change': () =>
        client('POST', '/api/auth/email/change', {
          ...own,
          body: { new_email: uniqueEmail('next'), current_password: PASSWORD },
        }),
      password: () =>
        client('PATCH', '/api/auth/password', {
          ...own,
          body: { current_password: PASSWORD, new_password: 'another long password' },
        }),
    };
    for (const [door, ask] of Object.entries(doors)) {
      const answers = await Promise.all(times(25, ask));
      const shed = answers.filter(({ status }) => status === 503).length;
      expect([door, shed > 10, answers.filter(({ status }) => status === 429).length]).toEqual([
        door,
        true,
        0,
      ]);
    }
    const now = await eventually('the new password', async () => {
      const answer = await loginAt(client, email, 'another long password', HOME);
      return answer.status === 200 && answer;
    });
    expect(now.status).toBe(200);
  });
});

describe('a reset by mail lifts every lock', () => {
  let smtp: TestSmtp;
  let service: TestService;
  let client: Client;
  beforeAll(async () => {
    await insideOneWindow(60_000, 30_000);
    smtp = await startTestSmtp();
    service = await startTestService({
      SMTP_URL: smtp.url,
      TRUST_PROXY: '1',
      LOGIN_ATTEMPTS_PER_ACCOUNT: '3',
      LOGIN_ATTEMPTS_PER_DEVICE: '3',
    });
    client = createClient(service.baseUrl);
  });
  afterAll(async () => {
    await service?.close();
    await smtp?.close();
  });

  test('of logins, of known devices and of the current password', async () => {
    const { email, token } = await accountAt(client);
    const change = (at: string, current_password: string) =>
      client('PATCH', '/api/auth/password', {
        token: at,
        body: { current_password, new_password: 'a third long password' },
        headers: from(HOME),
      });
    for (let i = 0; i < 4; i += 1) {
      await loginAt(client, email, 'wrong password', STRANGER);
      await loginAt(client, email, 'wrong password', HOME);
      await change(token, 'wrong password');
    }
    expect([
      (await loginAt(client, email, PASSWORD, STRANGER)).status,
      (await loginAt(client, email, PASSWORD, HOME)).status,
      (await change(token, PASSWORD)).status,
    ]).toEqual([429, 429, 429]);

    const mails = smtp.mails.length;
    await client('POST', '/api/auth/password/forgot', { body: { email } });
    const { text } = await smtp.waitFor(email, /Set a new password/, mails);
    const [, mailed] = /The token is: ([A-Za-z0-9_-]{43})\n/.exec(text) ?? [];
    const reset = { token: mailed, new_password: 'a second long password' };
    expect((await client('POST', '/api/auth/password/reset', { body: reset })).status).toBe(204);

    expect((await loginAt(client, email, 'a second long password', STRANGER)).status).toBe(200);
    // The first makes the device known again, the second is looked at as one of a known device.
    expect((await loginAt(client, email, 'a second long password', HOME)).status).toBe(200);
    const again = await loginAt(client, email, 'a second long password', HOME);
    expect(again.status).toBe(200);
    expect((await change(again.json.access_token as string, 'a second long password')).status).toBe(
      200,
    );
  });
});

const stores: [string, boolean][] = [
  ['the database', false],
  ...(redisAvailable ? ([['Redis', true]] as [string, boolean][]) : []),
];
describe.each(stores)('while the database is away, with limits counted in %s', (_, withRedis) => {
  let mongo: TestMongo;
  let proxy: MongoProxy;
  let redis: TestRedis | undefined;
  let service: TestService;
  let client: Client;
  beforeAll(async () => {
    mongo = await startTestMongo();
    proxy = await startMongoProxy(mongo.uri);
    redis = withRedis ? await startTestRedis() : undefined;
    service = await startTestService(
      {
        ...{
          TRUST_PROXY: '1',
          LOGIN_ATTEMPTS_PER_NETWORK: '3',
          LOGIN_ATTEMPTS_PER_ACCOUNT: '3',
          DB_OPERATION_TIMEOUT_MS: '500',
        },
        ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
      },
      proxy,
    );
    client = createClient(service.baseUrl);
  });
  afterAll(async () => {
    proxy?.pass();
    await service?.close();
    await redis?.close();
    await proxy?.close();
    await mongo?.close();
  });

  test('a minute of attempts answered 503 does not lock their network', async () => {
    await insideOneWindow(600_000, 30_000);
    const [one, neighbour] = [await accountAt(client), await accountAt(client)];
    for (const fault of ['refuse', 'hold'] as const) {
      if (fault === 'refuse') proxy.refuse();
      else proxy.holdFrom('find');
      const answers = await Promise.all(times(12, () => loginAt(client, one.email, PASSWORD)));
      expect([fault, new Set(statusesOf(answers))]).toEqual([fault, new Set([503])]);
      proxy.release();
      proxy.pass();
      await eventually(
        'the database',
        async () => (await client('GET', '/readyz')).status === 200,
        15_000,
      );
      for (const { email } of [one, neighbour]) {
        const answer = await eventually('an answer', async () => {
          const tried = await loginAt(client, email, PASSWORD);
          return tried.status !== 503 && tried;
        });
        expect([fault, answer.status]).toEqual([fault, 200]);
      }
    }
  });
});

test('a login answered 503 leaves no valid session, even when its insert arrives late', async () => {
  const mongo = await startTestMongo();
  const proxy = await startMongoProxy(mongo.uri);
  const [far, near] = [
    await startTestService({ DB_OPERATION_TIMEOUT_MS: '500' }, proxy),
    await startTestService({}, mongo),
  ];
  try {
    const { user } = await register(createClient(near.baseUrl));
    const sessions = () =>
      near.database.connection
        .collection('sessions')
        .countDocuments({ userId: user.id, endedAt: { $exists: false } });
    expect(await sessions()).toBe(1);
    // The name of the command and of its collection, as BSON has them.
    proxy.holdFrom('insert\0\x09\0\0\0sessions');
    const answer = await createClient(far.baseUrl)('POST', '/api/auth/login', {
      body: { email: user.email, password: PASSWORD },
    });
    expect(answer.status).toBe(503);
    await sleep(1000);
    expect(proxy.isHolding()).toBe(true);
    proxy.release();
    proxy.pass();
    await eventually('only the first session', async () => (await sessions()) === 1);
    await sleep(500);
    expect(await sessions()).toBe(1);
  } finally {
    proxy.pass();
    await far.close();
    await near.close();
    await proxy.close();
    await mongo.close();
  }
});

test('every operation with a password records a wrong one', async () => {
  const service = await startTestService();
  try {
    const client = createClient(service.baseUrl);
    const admin = await signIn(client, service.admin.email, service.admin.password);
    const { user, access_token: token } = await register(client);
    const body = { current_password: 'wrong password' };
    await client('PATCH', '/api/auth/password', {
      token,
      body: { ...body, new_password: 'another long password' },
    });
    await client('POST', '/api/auth/email/change', {
      token,
      body: { ...body, new_email: uniqueEmail('next') },
    });
    const failures = await eventually('two failures', async () => {
      const { json } = await client('GET', `/api/audit-events?subject=${user.id}`, {
        token: admin,
      });
      const found = json.data.filter(({ result }: { result: string }) => result === 'failure');
      return found.length >= 2 && found;
    });
    const facts = failures.map(({ type, reason, actor, session }: Record<string, unknown>) => ({
      type,
      reason,
      actor,
      hasSession: session !== null,
    }));
    expect(facts).toEqual(
      ['email_change_requested', 'password_changed'].map((type) => ({
        type,
        reason: 'wrong_password',
        actor: user.id,
        hasSession: true,
      })),
    );
  } finally {
    await service.close();
  }
});
