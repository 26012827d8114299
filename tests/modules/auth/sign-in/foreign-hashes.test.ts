import {
  type ForeignHash,
  importHash,
} from '../../../../src/modules/auth/passwords/formats/foreign-hash';
import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, PASSWORD, register, uniqueEmail } from '../../../support/http';

const COST = 5;
let service: TestService;
let client: Client;
beforeAll(async () => {
  service = await startTestService({ BCRYPT_COST: String(COST) });
  client = createClient(service.baseUrl);
});
afterAll(() => service?.close());

const users = () => service.database.connection.collection('users');
const hashOf = async (email: string) =>
  (await users().findOne({ emailKey: email }))?.['passwordHash'] as string;

/** An account with a hash that another system made. */
async function imported(foreign: ForeignHash): Promise<string> {
  const taken = await importHash(foreign, COST);
  if ('refusal' in taken) throw new Error(taken.refusal.message);
  const email = uniqueEmail('imported');
  await register(client, { email });
  await users().updateOne({ emailKey: email }, { $set: { passwordHash: taken.stored } });
  return email;
}
const login = (email: string, password: string) =>
  client('POST', '/api/auth/login', { body: { email, password } });

/** Made by argon2-cffi, Django, passlib and hashlib in Python, of the password `lètmein`. */
const HASHES: Record<string, ForeignHash> = {
  argon2id:
    '$argon2id$v=19$m=65536,t=3,p=4$SwmBMOY8J0TI+b/XGiNk7A$wQIjf00VJkOQrBb+wQr/5a2tW1vNaxV19oPzT+MT23o',
  'bcrypt $2a$': '$2a$05$A8hYbPoKv1NTv/qajoIf0O0bqd8YOB.bWvp8R0vQByvIHlQKuswVi',
  'bcrypt_sha256 of Django':
    'bcrypt_sha256$$2b$12$lM29wXlEFgtfVPkuL9C1/Os45lTTQkMh2tXnk5EbcRHSFUklaJXue',
  scrypt:
    'scrypt$16384$F8SvamKsEjTj05VTaoCl8A$8$5$/sGbmNPM4BP4S7kLOC2zOW4zCU6fag95pb0UbOk45cGBIOxvTY1NAMxhhqz+2SVC02bQ7kuBwRVo+0R2KXgTUA==',
  PBKDF2:
    '$pbkdf2-sha512$25000$vPdeCyEkpFRKSQlBaI2x9g$X4Bue6j/1T2sGqsjn0yoOFcj9pug0xfz0sYh/WzkuF8mEwHrsaQII0iKGQgH1vYX7EomyP7aHtJuplY1yMma1A',
  SSHA: '{SSHA}D0I9zzqRjqLfCfoX5RIa7AMe7VK3VspZ',
  MD5: { algorithm: 'md5', hash: '88a434c88cca4e900f7874cd98123f43' },
};
const CURRENT = new RegExp(`^\\$2b\\$0${COST}\\$`);

test.each(Object.entries(HASHES))(
  'a login with a hash of %s is compared and then rehashed: the foreign hash is gone',
  async (_, foreign) => {
    const email = await imported(foreign);
    const before = await hashOf(email);
    expect((await login(email, 'lètmeiN')).status).toBe(401);
    expect(await hashOf(email)).toBe(before);
    expect((await login(email, 'lètmein')).status).toBe(200);
    expect(await hashOf(email)).toMatch(CURRENT);
    expect((await login(email, 'lètmein')).status).toBe(200);
    expect((await login(email, 'lètmeiN')).status).toBe(401);
  },
);

describe('a password that bcrypt would truncate', () => {
  const LONG = 'VSK0UYV6FFQVZ0KG88DYN9WADAADZO1CTSIVDJUNZSUML6IBX7LN7ZS3R5JGB3RGZ7VI7G7DJQ9NI8BQ';
  /** By Python's hashlib: pbkdf2_hmac('sha256', LONG, b'sodium chloride', 1000). */
  const HASH =
    '$pbkdf2-sha256$i=1000,l=32$c29kaXVtIGNobG9yaWRl$bfLB48GT2JCIpHJXCyN1waV4peg5UYH/1uWD44CwCGg';

  test('keeps its foreign hash, which is still checked in full', async () => {
    expect(Buffer.byteLength(LONG)).toBeGreaterThan(72);
    const email = await imported(HASH);
    for (let i = 0; i < 2; i += 1) {
      expect((await login(email, LONG)).status).toBe(200);
      expect(await hashOf(email)).toBe(HASH);
      expect((await login(email, LONG.slice(0, 72))).status).toBe(401);
      expect((await login(email, `${LONG}x`)).status).toBe(401);
    }
  });

  test('can be changed to one that is hashed by bcrypt', async () => {
    const email = await imported(HASH);
    const token = (await login(email, LONG)).json.access_token;
    const change = (current_password: string) =>
      client('PATCH', '/api/auth/password', {
        token,
        body: { current_password, new_password: PASSWORD },
      });
    expect((await change(LONG.slice(0, 72))).json.errors[0].code).toBe('wrong_password');
    expect((await change(LONG)).status).toBe(200);
    expect(await hashOf(email)).toMatch(CURRENT);
    expect((await login(email, PASSWORD)).status).toBe(200);
    expect((await login(email, LONG)).status).toBe(401);
  });
});

test('a foreign hash confirms a change of address', async () => {
  const email = await imported(HASHES['SSHA'] as ForeignHash);
  const token = (await login(email, 'lètmein')).json.access_token;
  const { stored } = (await importHash(HASHES['argon2id'], COST)) as { stored: string };
  await users().updateOne({ emailKey: email }, { $set: { passwordHash: stored } });
  const request = (password: string) =>
    client('POST', '/api/auth/email/change', {
      token,
      body: { new_email: uniqueEmail('next'), current_password: password },
    });
  const wrong = await request('lètmeiN');
  expect([wrong.status, wrong.json.errors?.[0]?.code]).toEqual([422, 'wrong_password']);
  expect((await request('lètmein')).status).toBe(202);
});

test('a hash beyond the bounds takes no longer than any other, and fits nothing', async () => {
  const email = uniqueEmail('heavy');
  await register(client, { email });
  const passwordHash = `$argon2id$v=19$m=4194304,t=99,p=1$c29tZXNhbHQ$${'A'.repeat(43)}`;
  await users().updateOne({ emailKey: email }, { $set: { passwordHash } });
  const start = performance.now();
  expect((await login(email, PASSWORD)).status).toBe(401);
  expect(performance.now() - start).toBeLessThan(5000);
});
