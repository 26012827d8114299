import bcrypt from 'bcrypt';
import { startTestService, type TestService } from '../../../support/app';
import {
  type Answer,
  type Client,
  createClient,
  eventually,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';

const HOME = '198.51.100.7';
let service: TestService;
let client: Client;

beforeAll(async () => {
  service = await startTestService({ TRUST_PROXY: '1', BCRYPT_COST: '5' });
  client = createClient(service.baseUrl);
});
afterAll(() => service?.close());

const from = (address: string) => ({ 'x-forwarded-for': address, 'user-agent': 'browser/1' });
const login = (email: string, password: string, address: string, at = client) =>
  at('POST', '/api/auth/login', { body: { email, password }, headers: from(address) });
const bare = ({ status, json, headers }: Answer) => ({
  status,
  json: { ...json, instance: '' },
  challenge: headers.get('www-authenticate'),
});

async function account(at = client) {
  const email = uniqueEmail('login');
  const answer = await at('POST', '/api/auth/register', {
    body: { name: 'Ada', email, password: PASSWORD },
    headers: from(HOME),
  });
  expect(answer.status).toBe(201);
  return { email, ...(answer.json as { user: { id: string } }) };
}

/** Windows are aligned to the clock: a test that counts within one must not straddle its end. */
const insideOneWindow = (windowMs: number, needMs: number) =>
  eventually(
    'a window with enough time left',
    () => windowMs - (Date.now() % windowMs) > needMs,
    needMs + 5000,
  );

describe('an account under attack', () => {
  beforeEach(() => insideOneWindow(300_000, 10_000));

  test('is locked after its attempts, and then answers right and wrong passwords alike', async () => {
    const { email } = await account();
    const answers: Answer[] = [];
    for (let i = 0; i < 12; i += 1)
      answers.push(await login(email, 'wrong password', `203.0.113.${i}`));
    expect(answers.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 10 }, () => 401),
      429,
      429,
    ]);
    const locked = answers[11] as Answer;
    expect(locked.json.code).toBe('too_many_attempts');
    expect(Number(locked.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(bare(await login(email, PASSWORD, '203.0.113.99'))).toEqual(bare(locked));
  });

  test('is not distinguishable from a missing account, before or after the lock', async () => {
    const { email } = await account();
    const nobody = uniqueEmail('nobody');
    for (let i = 0; i < 12; i += 1) {
      expect(bare(await login(nobody, 'wrong password', `203.0.113.${i}`))).toEqual(
        bare(await login(email, 'wrong password', `203.0.113.${i}`)),
      );
    }
  });

  test('lets its owner in from a known device while it is locked', async () => {
    const { email } = await account();
    await Promise.all(
      Array.from({ length: 40 }, (_, i) => login(email, 'wrong password', `203.0.113.${i}`)),
    );
    expect((await login(email, PASSWORD, '203.0.113.200')).status).toBe(429);
    expect((await login(email, PASSWORD, HOME)).status).toBe(200);
  });

  test('from 100 addresses at once allows no more attempts than its limit', async () => {
    const { email } = await account();
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, i) =>
        login(email, `guess number ${i}`, `192.0.2.${i % 100}`),
      ),
    );
    const looked = answers.filter(({ status }) => status === 401).length;
    expect(looked).toBeGreaterThan(0);
    expect(looked).toBeLessThanOrEqual(20);
    expect(answers.filter(({ status }) => ![401, 429, 503].includes(status))).toEqual([]);
  });

  test('a known device is stored again at most once a day', async () => {
    const { email } = await account();
    const devices = service.database.connection.collection('known_devices');
    const { _id: userId } =
      (await service.database.connection.collection('users').findOne({ emailKey: email })) ?? {};
    const mine = { userId: String(userId) };
    const until = async () => Number((await devices.findOne(mine))?.['until']);
    const first = await until();
    expect(first).toBeGreaterThan(Date.now());
    expect((await login(email, PASSWORD, HOME)).status).toBe(200);
    expect(await until()).toBe(first);
    await devices.updateOne(mine, { $set: { until: new Date(first - 86_400_000) } });
    expect((await login(email, PASSWORD, HOME)).status).toBe(200);
    expect(await until()).toBeGreaterThan(first);
  });

  test('a known device has limits of its own', async () => {
    await insideOneWindow(60_000, 6000);
    const { email } = await account();
    const statuses = [];
    for (let i = 0; i < 12; i += 1)
      statuses.push((await login(email, 'wrong password', HOME)).status);
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
    expect((await login(email, PASSWORD, HOME)).status).toBe(429);
    // Strangers' count is untouched by it.
    expect((await login(email, 'wrong password', '203.0.113.1')).status).toBe(401);
  });

  test('successful logins are not counted', async () => {
    const { email } = await account();
    for (let i = 0; i < 15; i += 1)
      expect((await login(email, PASSWORD, `203.0.113.${i}`)).status).toBe(200);
    expect((await login(email, 'wrong password', '203.0.113.77')).status).toBe(401);
  });

  test('the current password cannot be guessed past the limit with a stolen access token', async () => {
    const { access_token: token } = await register(client);
    const change = (current_password: string) =>
      client('PATCH', '/api/auth/password', {
        token,
        body: { current_password, new_password: 'a new long password' },
        headers: from(HOME),
      });
    const statuses = [];
    for (let i = 0; i < 12; i += 1) statuses.push((await change('wrong password')).status);
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 422), 429, 429]);
    expect((await change(PASSWORD)).status).toBe(429);
  });
});

describe('a network that tries many accounts', () => {
  let small: TestService;
  let at: Client;
  beforeAll(async () => {
    small = await startTestService({ TRUST_PROXY: '1', LOGIN_ATTEMPTS_PER_NETWORK: '5' });
    at = createClient(small.baseUrl);
  });
  afterAll(() => small?.close());
  beforeEach(() => insideOneWindow(600_000, 8000));

  test.each([
    ['an IPv4 address', (_: number) => '203.0.113.5'],
    [
      'an IPv4 address, also written as IPv6',
      (i: number) => (i % 2 ? '203.0.113.6' : '::ffff:203.0.113.6'),
    ],
    ['an IPv6 /56', (i: number) => `2001:db8:5:ab0${i}::${i + 1}`],
  ])('%s is one network', async (_, address) => {
    const statuses = [];
    for (let i = 0; i < 7; i += 1)
      statuses.push((await login(uniqueEmail('victim'), 'wrong password', address(i), at)).status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429]);
  });

  test('does not lock neighbouring networks', async () => {
    for (let i = 0; i < 6; i += 1)
      await login(uniqueEmail('victim'), 'wrong password', '2001:db8:7:100::1', at);
    expect(
      (await login(uniqueEmail('victim'), 'wrong password', '2001:db8:7:200::1', at)).status,
    ).toBe(401);
    const { email } = await account(at);
    expect((await login(email, PASSWORD, HOME, at)).status).toBe(200);
  });
});

test('a hash of another cost is replaced at the next login', async () => {
  const { email } = await account();
  const users = service.database.connection.collection('users');
  await users.updateOne(
    { emailKey: email },
    { $set: { passwordHash: await bcrypt.hash(PASSWORD, 4) } },
  );
  expect((await login(email, 'wrong password', HOME)).status).toBe(401);
  expect((await users.findOne({ emailKey: email }))?.['passwordHash']).toMatch(/^\$2b\$04\$/);
  expect((await login(email, PASSWORD, HOME)).status).toBe(200);
  expect((await users.findOne({ emailKey: email }))?.['passwordHash']).toMatch(/^\$2b\$05\$/);
  expect((await login(email, PASSWORD, HOME)).status).toBe(200);
});

test('a burst past the hash queue gets 503 with Retry-After and is not counted', async () => {
  // Fewer than all may fail, and more than can be looked at: it is the shed ones that must not
  // count.
  const limits = Object.fromEntries(
    ['ACCOUNT', 'ACCOUNT_DAY', 'DEVICE', 'NETWORK'].map((name) => [
      `LOGIN_ATTEMPTS_PER_${name}`,
      '25',
    ]),
  );
  const busy = await startTestService({
    ...limits,
    HASH_QUEUE_MAX: '2',
    HASH_CONCURRENCY: '1',
    BCRYPT_COST: '9',
    TRUST_PROXY: '1',
  });
  try {
    const at = createClient(busy.baseUrl);
    const { email } = await account(at);
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => login(email, 'wrong password', HOME, at)),
    );
    const shed = answers.filter(({ status }) => status === 503);
    expect(shed.length).toBeGreaterThan(5);
    expect(shed[0]?.json.code).toBe('hash_queue_full');
    expect(Number(shed[0]?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(await busy.metrics.getSingleMetricAsString('auth_hash_refused_total')).toMatch(
      /auth_hash_refused_total [1-9]/,
    );
    expect((await login(email, PASSWORD, HOME, at)).status).toBe(200);
  } finally {
    await busy.close();
  }
});
