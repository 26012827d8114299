import bcrypt from 'bcrypt';
import { startTestService } from '../../../support/app';
import { leastOf, median } from '../../../support/figures';
import { type Client, createClient, PASSWORD, uniqueEmail } from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

const [LOW, HIGH] = [5, 9];
let mongo: TestMongo;
beforeEach(async () => {
  mongo = await startTestMongo();
});
afterEach(() => mongo?.close());

const LIMITS = Object.fromEntries(
  ['ACCOUNT', 'ACCOUNT_DAY', 'DEVICE', 'NETWORK'].map((name) => [
    `LOGIN_ATTEMPTS_PER_${name}`,
    '1000',
  ]),
);
const at = (cost: number) => startTestService({ ...LIMITS, BCRYPT_COST: String(cost) }, mongo);

async function loginMs(
  client: Client,
  email: string,
  password = 'wrong password',
): Promise<number> {
  const start = performance.now();
  const { status } = await client('POST', '/api/auth/login', {
    body: { email, password },
  });
  expect(status).toBe(401);
  return performance.now() - start;
}

/** How far the slowest and the fastest kind of account are apart, by their medians. */
async function spread(
  client: Client,
  kinds: Record<string, () => string>,
  { password, logins = 25 }: { password?: string; logins?: number } = {},
): Promise<number> {
  const times = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, [] as number[]]));
  for (let i = 0; i < logins; i += 1) {
    for (const [kind, email] of Object.entries(kinds))
      times[kind]?.push(await loginMs(client, email(), password));
  }
  const medians = Object.values(times).map(median);
  if (process.env['SHOW_FIGURES'] !== undefined)
    process.stderr.write(
      `median ms ${JSON.stringify(Object.fromEntries(Object.keys(kinds).map((kind, i) => [kind, medians[i]])))}\n`,
    );
  return Math.max(...medians) / Math.min(...medians);
}

/**
 * Coarse, for a loaded machine: without the same work one is 2^4 times the other, less what HTTP
 * takes.
 */
const SAME = 1.5;

test.each([
  ['raised', LOW, HIGH],
  ['lowered', HIGH, LOW],
])(
  'a cost that was %s does not tell which accounts exist, whichever hash they have',
  async (_, before, after) => {
    const old = uniqueEmail('old');
    const first = await at(before);
    const register = (client: Client, email: string) =>
      client('POST', '/api/auth/register', { body: { name: 'Ada', email, password: PASSWORD } });
    expect((await register(createClient(first.baseUrl), old)).status).toBe(201);
    await first.close();

    const second = await at(after);
    try {
      const client = createClient(second.baseUrl);
      const emails = {
        old,
        renewed: uniqueEmail('new'),
        php: uniqueEmail('php'),
        foreign: uniqueEmail('foreign'),
      };
      for (const email of [emails.renewed, emails.php, emails.foreign])
        expect((await register(client, email)).status).toBe(201);
      const users = second.database.connection.collection('users');
      const hash = await bcrypt.hash(PASSWORD, before);
      await users.updateOne(
        { emailKey: emails.php },
        { $set: { passwordHash: hash.replace('$2b$', '$2y$') } },
      );
      await users.updateOne(
        { emailKey: emails.foreign },
        { $set: { passwordHash: '$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g' } },
      );
      const kinds = {
        ...Object.fromEntries(Object.entries(emails).map(([kind, email]) => [kind, () => email])),
        unknown: () => uniqueEmail('nobody'),
      };
      expect(await leastOf(4, () => spread(client, kinds), 1.25)).toBeLessThanOrEqual(SAME);

      // Right passwords are still right, PHP's too, and get today's hash.
      for (const email of [old, emails.php]) {
        expect(
          (await client('POST', '/api/auth/login', { body: { email, password: PASSWORD } })).status,
        ).toBe(200);
        expect((await users.findOne({ emailKey: email }))?.['passwordHash']).toMatch(
          new RegExp(`^\\$2b\\$0${after}\\$`),
        );
      }
    } finally {
      await second.close();
    }
  },
  120_000,
);

/** Less, more and about as much work as bcrypt at cost 8, by algorithms of other speeds. */
const FOREIGN: Record<string, string> = {
  light: '$argon2id$v=19$m=4096,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$',
  heavy: '$argon2id$v=19$m=32768,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$',
  scrypt: '$scrypt$ln=13,r=8,p=1$c29tZXNhbHRzb21lc2FsdA$',
  pbkdf2: '$pbkdf2-sha256$i=50000,l=32$c29tZXNhbHRzb21lc2FsdA$',
};

test('hashes of other algorithms do not tell which accounts exist', async () => {
  const first = await at(8);
  const emails: Record<string, string> = {};
  for (const [kind, hash] of Object.entries({ ...FOREIGN, own: undefined })) {
    const email = uniqueEmail(kind);
    const body = { name: 'Ada', email, password: PASSWORD };
    const { status } = await createClient(first.baseUrl)('POST', '/api/auth/register', { body });
    expect(status).toBe(201);
    emails[kind] = email;
    const passwordHash = `${hash}${'A'.repeat(43)}`;
    if (hash !== undefined)
      await first.database.connection
        .collection('users')
        .updateOne({ emailKey: email }, { $set: { passwordHash } });
  }
  await first.close();
  // A worker measures what it finds in the database before its first request.
  const second = await at(8);
  try {
    const client = createClient(second.baseUrl);
    const kinds = {
      ...Object.fromEntries(Object.entries(emails).map(([kind, email]) => [kind, () => email])),
      unknown: () => uniqueEmail('nobody'),
    };
    expect(await leastOf(4, () => spread(client, kinds), 1.25)).toBeLessThanOrEqual(SAME);
  } finally {
    await second.close();
  }
}, 120_000);

const ARGON2ID = { PASSWORD_HASH: 'argon2id', ARGON2_MEMORY_KIB: '16384', ARGON2_PASSES: '2' };
const BCRYPT = { PASSWORD_HASH: 'bcrypt', BCRYPT_COST: '8' };

test.each([
  ['bcrypt to argon2id', BCRYPT, ARGON2ID],
  ['argon2id to bcrypt', ARGON2ID, BCRYPT],
])(
  'a change from %s does not tell which accounts exist, whichever hash they have',
  async (_, before, after) => {
    const emails = { old: uniqueEmail('old'), renewed: uniqueEmail('new') };
    for (const [settings, email] of [
      [before, emails.old],
      [after, emails.renewed],
    ] as const) {
      const service = await startTestService({ ...LIMITS, ...settings }, mongo);
      const body = { name: 'Ada', email, password: PASSWORD };
      const { status } = await createClient(service.baseUrl)('POST', '/api/auth/register', {
        body,
      });
      await service.close();
      expect(status).toBe(201);
    }
    const service = await startTestService({ ...LIMITS, ...after }, mongo);
    try {
      const client = createClient(service.baseUrl);
      const kinds = {
        old: () => emails.old,
        renewed: () => emails.renewed,
        unknown: () => uniqueEmail('nobody'),
      };
      // Two spellings of a letter: argon2id checks both, for a hash of another system.
      for (const password of ['wrong password', 'wrong pa\u0301ssword'])
        expect(
          await leastOf(4, () => spread(client, kinds, { password, logins: 11 }), 1.25),
        ).toBeLessThanOrEqual(SAME);
    } finally {
      await service.close();
    }
  },
  120_000,
);

test('a stored hash of a cost out of range takes no longer than any other', async () => {
  const service = await at(LOW);
  try {
    const client = createClient(service.baseUrl);
    const email = uniqueEmail('heavy');
    await client('POST', '/api/auth/register', {
      body: { name: 'Ada', email, password: PASSWORD },
    });
    const hash = (await bcrypt.hash(PASSWORD, LOW)).replace('$05$', '$31$');
    await service.database.connection
      .collection('users')
      .updateOne({ emailKey: email }, { $set: { passwordHash: hash } });
    expect(await loginMs(client, email)).toBeLessThan(5000);
  } finally {
    await service.close();
  }
});
