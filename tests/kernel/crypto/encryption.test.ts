import { fork } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DecryptionError, decrypt, encrypt } from '../../../src/kernel/crypto/encryption';
import { loadDevelopmentSecret } from '../../../src/modules/auth/keys/development-secret';

const SECRET = 'k'.repeat(40);

describe('encryption', () => {
  test('decrypts with the same secret and context', () => {
    const plain = Buffer.from('private key');
    const sealed = encrypt(SECRET, 'signing-key 1', plain);
    expect(decrypt(SECRET, 'signing-key 1', sealed)).toEqual(plain);
    expect(Buffer.concat(Object.values(sealed)).includes(plain)).toBe(false);
    expect(encrypt(SECRET, 'signing-key 1', plain).data).not.toEqual(sealed.data);
  });

  test('does not decrypt with anything else', () => {
    const sealed = encrypt(SECRET, 'signing-key 1', Buffer.from('private key'));
    const flip = (bytes: Buffer) =>
      Buffer.from(bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte)));
    expect(() => decrypt('l'.repeat(40), 'signing-key 1', sealed)).toThrow(DecryptionError);
    expect(() => decrypt(SECRET, 'signing-key 2', sealed)).toThrow(DecryptionError);
    for (const part of ['salt', 'iv', 'tag', 'data'] as const) {
      expect(() =>
        decrypt(SECRET, 'signing-key 1', { ...sealed, [part]: flip(sealed[part]) }),
      ).toThrow(DecryptionError);
    }
    // A short tag would be easier to guess.
    expect(() =>
      decrypt(SECRET, 'signing-key 1', { ...sealed, tag: sealed.tag.subarray(0, 4) }),
    ).toThrow(DecryptionError);
  });
});

describe('the development secret', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'secret-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('concurrent processes create it once, readable only by its owner', async () => {
    const inside = join(directory, 'data');
    const all = await Promise.all(Array.from({ length: 20 }, () => loadDevelopmentSecret(inside)));
    expect(new Set(all).size).toBe(1);
    expect(Buffer.byteLength(all[0] as string)).toBeGreaterThanOrEqual(64);
    expect(readdirSync(inside)).toEqual(['key-encryption.secret']);
    expect(statSync(join(inside, 'key-encryption.secret')).mode & 0o777).toBe(0o600);
  });

  test('is the same in several processes', async () => {
    const program = join(directory, 'read.cjs');
    const source = join(__dirname, '../../../src/modules/auth/keys/development-secret.js');
    writeFileSync(
      program,
      `require(${JSON.stringify(source)}).loadDevelopmentSecret(${JSON.stringify(directory)}).then((s) => process.send(s));`,
    );
    const secrets = await Promise.all(
      Array.from({ length: 4 }, () => {
        const child = fork(program, { stdio: 'ignore' });
        return new Promise((resolve, reject) => {
          child.once('message', resolve);
          child.once('error', reject);
          child.once('exit', (code) => reject(new Error(`exit ${code}`)));
        });
      }),
    );
    expect(new Set(secrets).size).toBe(1);
  });

  test('an empty file is refused', async () => {
    writeFileSync(join(directory, 'key-encryption.secret'), 'short\n');
    await expect(loadDevelopmentSecret(directory)).rejects.toThrow(/less than 32 bytes/);
  });
});
