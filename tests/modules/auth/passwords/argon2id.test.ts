import bcrypt from 'bcrypt';
import * as binding from '../../../../src/modules/auth/passwords/formats/argon2-binding';
import {
  argon2Source,
  deriveArgon2,
  deriveArgon2Sync,
} from '../../../../src/modules/auth/passwords/formats/argon2-derive';
import type { Argon2Work } from '../../../../src/modules/auth/passwords/formats/argon2-work';
import { encodeB64, parsePhc } from '../../../../src/modules/auth/passwords/formats/phc';
import { readStored } from '../../../../src/modules/auth/passwords/formats/registry';
import { createHashAlgorithm } from '../../../../src/modules/auth/passwords/hash-algorithm';
import {
  newPasswordOf,
  passwordFault,
} from '../../../../src/modules/auth/passwords/password-rules';
import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, PASSWORD, uniqueEmail } from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

/** Made by argon2-cffi 25.1.0 (`argon2.low_level.hash_secret`), the reference implementation. */
const CFFI: readonly (readonly [password: string, hash: string])[] = [
  [
    'correct horse battery',
    '$argon2id$v=19$m=19456,t=2,p=1$c2l4dGVlbiBieXRlIHNhbA$ZJ4FUbptHT0O321/29MZjzSO5FrbsClqx9/BbsxE0RA',
  ],
  [
    'lètmein',
    '$argon2id$v=19$m=4096,t=3,p=1$MDEyMzQ1Njc4OWFiY2RlZg$309pUIHHvRhPTRO3Ppb8uKaEaeBwghOoO58kEOQaPeA',
  ],
  [
    '漢字とかな交じり文'.repeat(10),
    '$argon2id$v=19$m=8192,t=1,p=2$c29kaXVtIGNobG9yaWRlIQ$CDTmdd/I/zZdLxoi/gUYhty+igR8BbPQaiWicUypU+U',
  ],
  ['with\0nul', '$argon2id$v=19$m=7168,t=5,p=1$c2FsdHNhbHQ$PGEpuBiJgbwd0V/VY3QlKA'],
  [
    '',
    '$argon2id$v=19$m=64,t=1,p=8$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0$mXnhyEcW+R9yn5csgMsMChKpDYU+2RRnztEtuyXyr0bUwoTWGxElqDmXB9PT7aZhR7nfvw0RvO8oH+RaQenBiQ',
  ],
];

function workOf(hash: string): Argon2Work {
  const { parameters, salt, digest } = parsePhc(hash);
  const numbers = Object.fromEntries(parameters.map(([name, value]) => [name, Number(value)]));
  return {
    ...{ algorithm: 'argon2id', version: 19 },
    memoryKib: numbers['m'] as number,
    passes: numbers['t'] as number,
    parallelism: numbers['p'] as number,
    salt: Buffer.from(salt, 'base64'),
    digestBytes: Buffer.from(digest, 'base64').length,
  };
}

describe(`hashes of another implementation, compared with ${argon2Source}`, () => {
  test.each(CFFI)('%j', async (password, hash) => {
    const work = workOf(hash);
    const digest = parsePhc(hash).digest;
    // The running Node's own where it has one, and the package in any case.
    for (const derived of [
      await deriveArgon2(password, work),
      deriveArgon2Sync(password, work),
      await binding.derive(password, work),
      binding.deriveSync(password, work),
    ])
      expect(encodeB64(derived)).toBe(digest);
    expect(await readStored(hash)?.matches(password)).toBe(true);
    expect(await readStored(hash)?.matches(`${password}x`)).toBe(false);
  });

  test('Node has its own from 24.7 on', () => {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
    const hasOwn = major > 24 || (major === 24 && minor >= 7);
    expect(argon2Source).toBe(hasOwn ? 'node:crypto' : '@node-rs/argon2');
  });
});

const COST = { memoryKib: 1024, passes: 2, parallelism: 1 };

describe('new hashes', () => {
  const argon2id = createHashAlgorithm({ kind: 'argon2id', ...COST });

  test('are PHC strings of the configured cost, with a salt of their own', async () => {
    const hashes = [await argon2id.hash(PASSWORD), argon2id.hashSync(PASSWORD)];
    for (const hash of hashes) {
      expect(hash).toMatch(
        /^\$argon2id\$v=19\$m=1024,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/,
      );
      expect(await readStored(hash)?.matches(PASSWORD)).toBe(true);
      expect(argon2id.isCurrent(hash)).toBe(true);
    }
    expect(new Set(hashes).size).toBe(2);
  });

  test.each([
    ['memory', { ...COST, memoryKib: 2048 }],
    ['passes', { ...COST, passes: 3 }],
    ['parallelism', { ...COST, parallelism: 2 }],
  ])('of another %s are not current', async (_, cost) => {
    const other = createHashAlgorithm({ kind: 'argon2id', ...cost });
    expect(argon2id.isCurrent(await other.hash(PASSWORD))).toBe(false);
  });

  test('of bcrypt are not current under argon2id, nor the other way round', async () => {
    const cost4 = createHashAlgorithm({ kind: 'bcrypt', cost: 4 });
    expect(argon2id.isCurrent(await bcrypt.hash(PASSWORD, 4))).toBe(false);
    expect(cost4.isCurrent(await argon2id.hash(PASSWORD))).toBe(false);
  });
});

describe('the length of a new password', () => {
  test.each([
    ['128 characters of three bytes', '漢'.repeat(128), undefined],
    ['128 characters of two UTF-16 units', '🔑'.repeat(128), undefined],
    ['129 characters', 'x'.repeat(129), 'password_too_long'],
    ['more than 128 when composed', '\u0344'.repeat(70), 'password_too_long'],
    ['seven characters', 'aB3$xyz', 'password_too_short'],
  ])('under argon2id: %s', (_, password, code) => {
    expect(passwordFault(password, 'argon2id')?.code).toBe(code);
    expect(newPasswordOf('argon2id').safeParse(password).success).toBe(code === undefined);
  });

  test('under bcrypt ends at 72 bytes', () => {
    expect(passwordFault('漢'.repeat(25), 'bcrypt')?.code).toBe('password_too_long');
    expect(newPasswordOf('bcrypt').safeParse('漢'.repeat(25)).success).toBe(false);
  });
});

describe('a service whose PASSWORD_HASH changes', () => {
  const ARGON2ID = {
    PASSWORD_HASH: 'argon2id',
    ARGON2_MEMORY_KIB: '1024',
    ARGON2_PASSES: '2',
  };
  const LONG = `${'長い合言葉'.repeat(10)} é`;
  let mongo: TestMongo;
  let service: TestService | undefined;
  beforeAll(async () => {
    mongo = await startTestMongo();
  });
  afterEach(async () => {
    await service?.close();
    service = undefined;
  });
  afterAll(() => mongo?.close());

  /** The service that listened before ends: the next host has other settings. */
  async function serveWith(settings: Record<string, string>): Promise<Client> {
    await service?.close();
    service = await startTestService(settings, mongo);
    return createClient(service.baseUrl);
  }
  const register = (client: Client, email: string, password: string) =>
    client('POST', '/api/auth/register', { body: { name: 'Ada', email, password } });
  const login = (client: Client, email: string, password: string) =>
    client('POST', '/api/auth/login', { body: { email, password } });
  const hashOf = async (email: string) =>
    (await service?.database.connection.collection('users').findOne({ emailKey: email }))?.[
      'passwordHash'
    ] as string;

  test('rehashes at the next login, in both directions', async () => {
    const email = uniqueEmail('both');
    expect((await register(await serveWith({}), email, PASSWORD)).status).toBe(201);
    expect(await hashOf(email)).toMatch(/^\$2b\$04\$/);

    for (const [settings, form] of [
      [ARGON2ID, /^\$argon2id\$v=19\$m=1024,t=2,p=1\$/],
      [{ ...ARGON2ID, ARGON2_PASSES: '3' }, /^\$argon2id\$v=19\$m=1024,t=3,p=1\$/],
      [{}, /^\$2b\$04\$/],
    ] as const) {
      const client = await serveWith(settings);
      expect((await login(client, email, 'wrong horse battery')).status).toBe(401);
      expect(await hashOf(email)).not.toMatch(form);
      expect((await login(client, email, PASSWORD)).status).toBe(200);
      expect(await hashOf(email)).toMatch(form);
      const renewed = await hashOf(email);
      expect((await login(client, email, PASSWORD)).status).toBe(200);
      expect(await hashOf(email)).toBe(renewed);
    }
  });

  test('keeps a password that bcrypt would truncate, and refuses a new one of that length', async () => {
    const email = uniqueEmail('long');
    const first = await serveWith(ARGON2ID);
    expect(Buffer.byteLength(LONG)).toBeGreaterThan(72);
    expect((await register(first, email, LONG)).status).toBe(201);
    const hash = await hashOf(email);

    const client = await serveWith({});
    expect((await login(client, email, LONG)).status).toBe(200);
    expect(await hashOf(email)).toBe(hash);
    expect((await login(client, email, LONG.slice(0, 24))).status).toBe(401);
    const refused = await register(client, uniqueEmail('other'), LONG);
    expect([refused.status, refused.json.errors[0].pointer]).toEqual([422, '/password']);
    const document = (await client('GET', '/openapi.json')).json;
    expect(JSON.stringify(document)).toContain('at most 72 bytes of UTF-8');
  });

  test('compares in NFC, and a hash of another system as it was typed, too', async () => {
    const email = uniqueEmail('nfc');
    const client = await serveWith(ARGON2ID);
    expect((await register(client, email, 'caf\u00e9 au lait')).status).toBe(201);
    expect((await login(client, email, 'cafe\u0301 au lait')).status).toBe(200);

    const typed = 'cafe\u0301 au lait';
    const { salt, ...work } = workOf(await hashOf(email));
    const digest = await binding.derive(typed, { ...work, salt });
    const foreign = `$argon2id$v=19$m=1024,t=2,p=1$${encodeB64(salt)}$${encodeB64(digest)}`;
    await service?.database.connection
      .collection('users')
      .updateOne({ emailKey: email }, { $set: { passwordHash: foreign } });
    expect((await login(client, email, typed)).status).toBe(200);
    expect((await login(client, email, 'cafe au lait')).status).toBe(401);
  });
});
