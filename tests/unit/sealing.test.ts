import { fork } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadDevelopmentSecret } from '../../src/auth/development-secret';
import { SealError, seal, unseal } from '../../src/auth/sealing';

const SECRET = 'k'.repeat(40);

describe('sealing', () => {
  test('opens with the same secret and context', () => {
    const plain = Buffer.from('private key');
    const sealed = seal(SECRET, 'signing-key 1', plain);
    expect(unseal(SECRET, 'signing-key 1', sealed)).toEqual(plain);
    expect(Buffer.concat(Object.values(sealed)).includes(plain)).toBe(false);
    expect(seal(SECRET, 'signing-key 1', plain).data).not.toEqual(sealed.data);
  });

  test('does not open otherwise', () => {
    const sealed = seal(SECRET, 'signing-key 1', Buffer.from('private key'));
    const flip = (bytes: Buffer) => Buffer.from(bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte)));
    expect(() => unseal('l'.repeat(40), 'signing-key 1', sealed)).toThrow(SealError);
    expect(() => unseal(SECRET, 'signing-key 2', sealed)).toThrow(SealError);
    for (const part of ['salt', 'iv', 'tag', 'data'] as const) {
      expect(() => unseal(SECRET, 'signing-key 1', { ...sealed, [part]: flip(sealed[part]) })).toThrow(SealError);
    }
    // A short tag would be easier to guess.
    expect(() => unseal(SECRET, 'signing-key 1', { ...sealed, tag: sealed.tag.subarray(0, 4) })).toThrow(SealError);
  });
});

describe('the development secret', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'secret-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('is made once by many at once, readable by its owner alone', async () => {
    const inside = join(directory, 'data');
    const all = await Promise.all(Array.from({ length: 20 }, () => loadDevelopmentSecret(inside)));
    expect(new Set(all).size).toBe(1);
    expect(Buffer.byteLength(all[0] as string)).toBeGreaterThanOrEqual(64);
    expect(readdirSync(inside)).toEqual(['key-encryption.secret']);
    expect(statSync(join(inside, 'key-encryption.secret')).mode & 0o777).toBe(0o600);
  });

  test('is the same in several processes', async () => {
    const program = join(directory, 'read.cjs');
    const source = join(__dirname, '../../src/auth/development-secret.js');
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

  test('that was emptied by accident is refused rather than used', async () => {
    writeFileSync(join(directory, 'key-encryption.secret'), 'short\n');
    await expect(loadDevelopmentSecret(directory)).rejects.toThrow(/less than 32 bytes/);
  });
});
