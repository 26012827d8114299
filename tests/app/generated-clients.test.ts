import { createHash } from 'node:crypto';
import { startTestService, type TestService } from '../support/app';
import { type Client, createClient, eventually, uniqueEmail } from '../support/http';
import { startTestMongo, type TestMongo } from '../support/mongo';

const WINDOW_MS = 3_600_000;
let service: TestService;
let client: Client;
beforeAll(async () => {
  await eventually(
    'a window with enough time left',
    () => WINDOW_MS - (Date.now() % WINDOW_MS) > 20_000,
    25_000,
  );
  service = await startTestService({
    TRUST_PROXY: '1',
    RATE_LIMIT: 'true',
    RATE_LIMIT_WINDOW_MS: String(WINDOW_MS),
    AUTH_RATE_LIMIT_PER_CLIENT: '5',
  });
  client = createClient(service.baseUrl);
});
afterAll(() => service?.close());

const guess = (forwardedFor: string) =>
  client('POST', '/api/auth/login', {
    body: { email: uniqueEmail('nobody'), password: 'wrong password' },
    headers: { 'x-forwarded-for': forwardedFor },
  });

describe('limits count by the address of the client', () => {
  test.each<[string, (i: number) => string]>([
    ['IPv4 with a port', (i) => `203.0.113.1:${4000 + i}`],
    ['IPv6 in brackets with a port', (i) => `[2001:db8:1::1]:${4000 + i}`],
    ['quoted', (i) => `"203.0.113.2:${4000 + i}"`],
    [
      'in several spellings',
      (i) =>
        ['203.0.113.3', '::ffff:203.0.113.3', '::FFFF:cb00:7103', '203.0.113.3:', ' 203.0.113.3'][
          i % 5
        ] as string,
    ],
    ['of another zone each', (i) => `fe80::1%eth${i}`],
    ['behind what the client makes up', (i) => `198.51.100.${i}, 203.0.113.4:${4000 + i}`],
  ])('%s', async (_, header) => {
    const statuses = [];
    for (let i = 0; i < 7; i += 1) statuses.push((await guess(header(i))).status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429]);
  });

  test('a forwarded value that is not an address counts for the proxy that sent it', async () => {
    const forms = [
      'unknown',
      '_hidden1',
      '_hidden2',
      '"unknown"',
      '',
      'for=203.0.113.9',
      '203.0.113.999',
      'x'.repeat(4000),
    ];
    const statuses = [];
    for (const form of forms) statuses.push((await guess(form)).status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
  });
});

test('the partition key is stable per client and is not a plain digest of the address', async () => {
  const policies = async (forwardedFor: string) =>
    (await guess(forwardedFor)).headers.get('ratelimit-policy') ?? '';
  const [one, same, other] = [
    await policies('203.0.113.20:1'),
    await policies('203.0.113.20:2'),
    await policies('203.0.113.21'),
  ];
  expect(same).toBe(one);
  expect(other).not.toBe(one);
  const keys = [...one.matchAll(/"(client|credentials)"[^,]*pk=:([^:]+):/g)].map(
    ([, name, key]) => [name, Buffer.from(key ?? '', 'base64').toString()],
  );
  expect(keys.map(([name]) => name).sort()).toEqual(['client', 'credentials']);
  const plain = createHash('sha256').update('203.0.113.20');
  const digests = [plain.copy().digest('hex'), plain.copy().digest('base64url')];
  for (const [, key] of keys)
    expect(digests.filter((digest) => digest.startsWith(key ?? ''))).toEqual([]);
  // The store of the counters does not contain the address either.
  const counters = await service.database.connection
    .collection<{ _id: string }>('counters')
    .find()
    .toArray();
  expect(
    counters.map(({ _id }) => _id).filter((id) => id.startsWith('limit:')).length,
  ).toBeGreaterThan(0);
  expect(
    counters.map(({ _id }) => _id).filter((id) => /^limit:.*(203\.0\.113|2001:db8)/.test(id)),
  ).toEqual([]);
});

describe('health routes', () => {
  let mongo: TestMongo;
  beforeAll(async () => {
    mongo = await startTestMongo();
  });
  afterAll(() => mongo?.close());

  test('query the database once per interval for any number of requests', async () => {
    const own = await startTestService({}, mongo);
    try {
      let pings = 0;
      own.database.connection.getClient().on('commandStarted', ({ commandName }) => {
        if (commandName === 'ping') pings += 1;
      });
      const at = createClient(own.baseUrl);
      const startedMs = performance.now();
      for (let round = 0; round < 5; round += 1) {
        const answers = await Promise.all(
          Array.from({ length: 40 }, (_, i) => at('GET', i % 2 ? '/health' : '/readyz')),
        );
        expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      }
      const intervals = Math.floor((performance.now() - startedMs) / 500);
      expect(pings).toBeLessThanOrEqual(intervals + 1);
    } finally {
      await own.close();
    }
  });
});
