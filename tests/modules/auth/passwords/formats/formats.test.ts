import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import {
  exportHash,
  type ForeignHash,
  foreignHash,
  importHash,
  importHashSync,
} from '../../../../../src/modules/auth/passwords/formats/foreign-hash';
import { readStored } from '../../../../../src/modules/auth/passwords/formats/registry';
import { wrapWeakSync } from '../../../../../src/modules/auth/passwords/formats/wrapped';
import { FIREBASE, VECTORS } from './vectors';

const COST = 4;

async function storedOf(input: ForeignHash): Promise<string> {
  const taken = await importHash(foreignHash.parse(input), COST);
  if ('refusal' in taken) throw new Error(`refused: ${JSON.stringify(taken.refusal)}`);
  return taken.stored;
}
const fits = async (stored: string, password: string) =>
  (await readStored(stored)?.matches(password)) ?? false;

function refusalOf(input: ForeignHash): string | undefined {
  const taken = importHashSync(input, COST);
  return 'refusal' in taken ? taken.refusal.code : undefined;
}

describe('published hashes', () => {
  test.each(VECTORS.map((vector, at) => [at, vector.source, vector] as const))(
    '%i of %s fits its password and no other',
    async (_, __, { hash, password }) => {
      const stored = await storedOf(hash);
      expect(await fits(stored, password)).toBe(true);
      expect(await fits(stored, `${password}x`)).toBe(false);
      expect(await fits(stored, password.slice(0, -1))).toBe(false);
    },
  );

  test.each(VECTORS.map((vector, at) => [at, vector.source, vector] as const))(
    '%i of %s: the export is a PHC string that is taken over again unchanged',
    async (_, __, { hash }) => {
      const stored = await storedOf(hash);
      const phc = exportHash(stored) ?? '';
      expect(phc).toMatch(
        /^\$(2[aby]\$\d\d\$[./A-Za-z0-9]{53}|[a-z0-9-]+(\$[A-Za-z0-9/+.,=-]+){3,4})$/,
      );
      expect(await storedOf(phc)).toBe(stored);
      expect(importHashSync({ hash: phc }, COST)).toEqual({ stored });
    },
  );
});

describe('weak digests', () => {
  test('are stored inside bcrypt only, at the given cost', async () => {
    for (const { hash } of VECTORS.filter(({ source }) => ['LDAP', 'FIPS 180'].includes(source)))
      expect(await storedOf(hash)).toMatch(/^\$bcrypt-(md5|sha1|sha256)-hex\$r=4[,$]/);
    const digest = Buffer.from('900150983cd24fb0d6963f7d28e17f72', 'hex');
    const stored = wrapWeakSync({ algorithm: 'md5', digest }, 5);
    expect(stored).toMatch(/^\$bcrypt-md5-hex\$r=5\$[./A-Za-z0-9]{22}\$[./A-Za-z0-9]{31}$/);
    expect(stored).not.toContain('900150983cd24fb0d6963f7d28e17f72');
    expect(await fits(stored, 'abc')).toBe(true);
  });

  test('the stored form does not fit the digest itself', async () => {
    const hash = 'f96b697d7cb7938d525a2f31aaf161d0';
    expect(await fits(await storedOf({ algorithm: 'md5', hash }), hash)).toBe(false);
  });

  test.each([
    ['prefix', 'utf8', 'salt'],
    ['suffix', 'utf8', 'salt'],
    ['suffix', 'hex', '73616c74'],
    ['prefix', 'base64', 'c2FsdA=='],
  ] as const)('salted by a %s in %s', async (salt_position, salt_encoding, salt) => {
    const { createHash } = await import('node:crypto');
    const text = salt_position === 'prefix' ? 'saltpass phrase' : 'pass phrasesalt';
    const hash = createHash('sha256').update(text).digest('hex');
    const input = { algorithm: 'sha256', hash, salt, salt_position, salt_encoding } as const;
    const stored = await storedOf(input);
    expect(await fits(stored, 'pass phrase')).toBe(true);
    expect(await fits(stored, 'pass')).toBe(false);
  });

  test('a bare digest is refused until its algorithm is named', () => {
    const hash = 'f96b697d7cb7938d525a2f31aaf161d0';
    expect(refusalOf({ hash })).toBe('hash_algorithm_missing');
    expect(refusalOf({ hash, algorithm: 'md5' })).toBeUndefined();
    expect(refusalOf({ hash, algorithm: 'sha1' })).toBe('hash_malformed');
  });
});

test("Firebase's signer key is not stored", async () => {
  const { signer_key: key, hash } = FIREBASE.hash as { signer_key: string; hash: string };
  const stored = await storedOf(FIREBASE.hash as ForeignHash);
  expect(stored).toMatch(/^\$firebase-scrypt\$ln=14,r=8\$/);
  for (const secret of [key, hash]) expect(stored).not.toContain(secret.slice(0, 12));
});

const SALT = 'c29tZXNhbHQ';
const D32 = 'A'.repeat(43);
const B53 = '.'.repeat(53);

describe('a hash is refused', () => {
  test.each([
    ['argon2id of 256 MiB', `$argon2id$v=19$m=262144,t=2,p=1$${SALT}$${D32}`],
    ['argon2id of 128 MiB and 9 passes', `$argon2id$v=19$m=131072,t=9,p=1$${SALT}$${D32}`],
    ['argon2id of less memory than its lanes need', `$argon2id$v=19$m=8,t=1,p=2$${SALT}$${D32}`],
    ['argon2id of 17 lanes', `$argon2id$v=19$m=65536,t=1,p=17$${SALT}$${D32}`],
    ['argon2id with a salt of 7 bytes', `$argon2id$v=19$m=65536,t=1,p=1$AAAAAAAAAA$${D32}`],
    ['argon2id with a digest of 4 bytes', `$argon2id$v=19$m=65536,t=1,p=1$${SALT}$AAAAAA`],
    ['scrypt of 1 GiB (RFC 7914)', `$scrypt$ln=20,r=8,p=1$${SALT}$${D32}`],
    ['scrypt of more work than the bound', `$scrypt$ln=17,r=8,p=5$${SALT}$${D32}`],
    ['scrypt of N too high for r', `$scrypt$ln=16,r=1,p=1$${SALT}$${D32}`],
    ['Firebase scrypt of 1 GiB', `$firebase-scrypt$ln=20,r=8$${SALT}$${D32}`],
    ['PBKDF2 of six million iterations', `$pbkdf2-sha256$i=6000000,l=32$${SALT}$${D32}`],
    ['PBKDF2 of too much work by its length', `$pbkdf2-sha1$i=4000000,l=32$${SALT}$${D32}`],
    ['PBKDF2 of one iteration', `$pbkdf2-sha256$i=1,l=32$${SALT}$${D32}`],
    ['bcrypt of cost 17', `$2b$17$${B53}`],
    ['bcrypt of cost 3', `$2b$03$${B53}`],
    ['a wrapped digest of cost 17', `$bcrypt-md5-hex$r=17$${'.'.repeat(22)}$${'.'.repeat(31)}`],
  ])('beyond a bound: %s', (_, hash) => {
    expect(refusalOf({ hash })).toBe('hash_out_of_bounds');
    // Nor is it checked at a login, should it be in the database.
    expect(readStored(hash)).toBeUndefined();
  });

  test.each([
    ['text after it', `$2b$10$${B53}x`],
    ['a line break after it', `$argon2id$v=19$m=65536,t=1,p=1$${SALT}$${D32}\n`],
    ['Base64 with padding', `$argon2id$v=19$m=65536,t=1,p=1$${SALT}=$${D32}`],
    ['Base64 with bits past its end', `$argon2id$v=19$m=65536,t=1,p=1$${SALT}$${D32.slice(1)}B`],
    ['Base64 of another alphabet', `$argon2id$v=19$m=65536,t=1,p=1$${SALT}$${D32.slice(1)}.`],
    ['bcrypt salt with bits past its end', `$2b$10$${'.'.repeat(21)}/${'.'.repeat(31)}`],
    ['parameters in another order', `$argon2id$v=19$t=1,m=65536,p=1$${SALT}$${D32}`],
    ['a parameter twice', `$argon2id$v=19$m=65536,m=8,t=1,p=1$${SALT}$${D32}`],
    ['an unknown parameter', `$argon2id$v=19$m=65536,t=1,p=1,keyid=A$${SALT}$${D32}`],
    ['a number with a leading zero', `$argon2id$v=19$m=065536,t=1,p=1$${SALT}$${D32}`],
    ['a number that is none', `$scrypt$ln=1e1,r=8,p=1$${SALT}$${D32}`],
    ['no salt', `$scrypt$ln=14,r=8,p=1$$${D32}`],
    ['another version', `$argon2id$v=20$m=65536,t=1,p=1$${SALT}$${D32}`],
    ['a version where there is none', `$scrypt$v=1$ln=14,r=8,p=1$${SALT}$${D32}`],
    ['a digest of another length than l', `$pbkdf2-sha256$i=1000,l=31$${SALT}$${D32}`],
    ['600 characters', `$scrypt$ln=14,r=8,p=1$${SALT}$${'A'.repeat(600)}`],
    ['Django with a field too many', 'pbkdf2_sha256$390000$salt$AAAA$x'],
    ['{SSHA} without a salt', '{SSHA}bROMo65UVjGzq9caTwds51nFcAs='],
    ['{SHA} with one', '{SHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr'],
  ])('with %s', (_, hash) => {
    expect(refusalOf({ hash })).toBe('hash_malformed');
  });

  test.each([
    ['argon2d', `$argon2d$v=19$m=65536,t=1,p=1$${SALT}$${D32}`, 'hash_unsupported'],
    ['bcrypt 2x', `$2x$10$${B53}`, 'hash_unsupported'],
    ['{SSHA512}', '{SSHA512}AAAA', 'hash_unsupported'],
    ['MD5-crypt', '$1$abc$def', 'hash_unknown'],
    ['SHA-512-crypt', '$6$abc$def', 'hash_unknown'],
    ['plain text', 'correct horse battery', 'hash_unknown'],
    ["Django's unusable password", '!Zt3nqMN6vDGAFUmFmSmmKqT3XGmrSmWlTnBvPyMu', 'hash_unknown'],
  ])('of an algorithm that is not taken over: %s', (_, hash, code) => {
    expect(refusalOf({ hash })).toBe(code);
  });

  test('with a reason that tells the bound', () => {
    const hash = `$argon2id$v=19$m=262144,t=2,p=1$${SALT}$${D32}`;
    expect(importHashSync(hash, COST)).toEqual({
      refusal: {
        code: 'hash_out_of_bounds',
        message: 'must have memory in KiB (m) of 8 to 131072',
      },
    });
  });
});

test('a value of another type is refused, whatever it is', () => {
  const firebase = FIREBASE.hash;
  for (const value of [
    ...[undefined, null, 5, true, '', [], {}, { hash: 5 }, { hash: '' }, ['$2b$'], new Map()],
    ...[{ algorithm: 'md5' }, { algorithm: 'sha512', hash: 'aa' }, { hash: 'x', extra: 1 }],
    ...[-1, 0, 21, 1.5, Number.NaN].map((mem_cost) => ({ ...firebase, mem_cost })),
    ...[-1, 0, 33, 1e9].map((rounds) => ({ ...firebase, rounds })),
    { ...firebase, signer_key: 'AAAA' },
    { ...firebase, salt: '?' },
  ])
    expect([value, importHashSync(value, COST)]).toEqual([
      value,
      { refusal: { code: expect.stringMatching(/^hash_/), message: expect.any(String) } },
    ]);
});

test('importHashSync works in a worker thread', async () => {
  const path = require.resolve('../../../../../src/modules/auth/passwords/formats/foreign-hash');
  const hashes = ['{SSHA}23AUBfRZytVFNpe7onuFhyCSJOHRzCWh', FIREBASE.hash];
  const script = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { importHashSync } = require(workerData.path);
    parentPort.postMessage(workerData.hashes.map((hash) => importHashSync(hash, 4)));`;
  const worker = new Worker(script, { eval: true, workerData: { path, hashes } });
  const [[ldap, firebase]] = (await once(worker, 'message')) as [{ stored: string }[]];
  await worker.terminate();
  expect(await fits(ldap?.stored ?? '', 'admin')).toBe(true);
  expect(await fits(firebase?.stored ?? '', FIREBASE.password)).toBe(true);
});

describe('mutated hashes', () => {
  /** Reproducible (mulberry32). */
  function randomOf(seed: number) {
    let state = seed;
    return (below: number) => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) % below;
    };
  }
  const CHARS = '$,=.{}/+-_ 0129aAbzZ\n\0é';

  function mutated(text: string, random: (below: number) => number): string {
    let result = text;
    for (let times = 1 + random(3); times > 0; times -= 1) {
      const at = random(result.length + 1);
      const char = CHARS[random(CHARS.length)] ?? '';
      const from = at + random(2);
      const [head, tail] = [result.slice(0, at), result.slice(from)];
      result = [head + char + tail, head + tail, head + result.slice(at - 3)][random(3)] ?? '';
    }
    return result;
  }

  test('20,000 of them never throw, are parsed at once, and round-trip', async () => {
    const seeds = VECTORS.filter(({ source }) => source !== 'LDAP' && !source.startsWith('FIPS'));
    const texts = await Promise.all(seeds.map(({ hash }) => storedOf(hash)));
    const foreign = VECTORS.flatMap(({ hash }) => (typeof hash === 'string' ? [hash] : []));
    const random = randomOf(14);
    let [taken, slowestMs] = [0, 0];
    for (let i = 0; i < 20_000; i += 1) {
      const from = [...texts, ...foreign];
      const text = mutated(from[i % from.length] ?? '', random);
      const start = performance.now();
      const stored = readStored(text);
      const imported = exportHash(text);
      slowestMs = Math.max(slowestMs, performance.now() - start);
      if (i % 8 === 0) expect(Object.keys(importHashSync(text, COST))).toHaveLength(1);
      expect(imported).toBe(stored?.text);
      if (stored !== undefined) {
        taken += 1;
        expect(stored.text).toBe(text);
      }
    }
    // A change of digest, salt or number is a hash of its own; nothing else is one.
    expect(taken).toBeGreaterThan(100);
    expect(slowestMs).toBeLessThan(250);
  });

  test('of cheap hashes none fits the password any more', async () => {
    const seeds = VECTORS.filter(
      ({ hash }) => typeof hash === 'string' && /ln=[178],|m=(8|256),|\$1212\$|2y\$05/.test(hash),
    );
    expect(seeds.length).toBeGreaterThan(6);
    const random = randomOf(25);
    let checked = 0;
    for (let i = 0; i < 3000; i += 1) {
      const { hash, password } = seeds[i % seeds.length] as { hash: string; password: string };
      const original = await storedOf(hash);
      const text = mutated(original, random);
      // $2a$, $2b$ and $2y$ are one algorithm.
      if (text === original || text.slice(3) === original.slice(3)) continue;
      const stored = readStored(text);
      if (stored === undefined || /ln=[2-9]\d|m=\d{6}|i=\d{6}|^\$2.\$1/.test(text)) continue;
      checked += 1;
      expect([text, await stored.matches(password)]).toEqual([text, false]);
    }
    expect(checked).toBeGreaterThan(200);
  });
});
