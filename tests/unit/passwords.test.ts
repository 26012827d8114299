import bcrypt from 'bcrypt';
import { z } from 'zod';
import { createAdmission } from '../../src/auth/admission';
import { createPasswords, newPassword, passwordFault } from '../../src/auth/passwords';
import { WORST_PASSWORDS } from '../../src/auth/worst-passwords';
import { Problem } from '../../src/errors';
import { createMetrics } from '../../src/observability/metrics';
import { leastOf, median } from '../support/figures';

const COST = 4;
const passwordsOf = (cost = COST) => createPasswords({ cost, concurrency: 2, queueMax: 10, metrics: createMetrics() });

describe('the rules of a new password', () => {
  test.each([
    ['seven characters', 'aB3$xyz', 'password_too_short'],
    ['four characters of two code units each', '🔑🔒🔓🗝', 'password_too_short'],
    ['73 bytes', 'x'.repeat(73), 'password_too_long'],
    ['25 characters of three bytes', '漢'.repeat(25), 'password_too_long'],
    ['NUL inside', 'correct\0horse', 'password_not_text'],
    ['half a surrogate pair', 'correct horse \ud83d', 'password_not_text'],
    ['a worst one', 'password1', 'password_too_common'],
    ['a worst one in capitals', 'PassWord1', 'password_too_common'],
    ['72 bytes that grow when composed', `${'\u0344'.repeat(36)}`, 'password_too_long'],
  ])('%s is refused', (_, password, code) => {
    expect(newPassword.safeParse(password).success).toBe(false);
    expect(passwordFault(password)?.code).toBe(code);
  });

  test.each([
    ['8 characters', 'aB3$xyz9'],
    ['72 bytes', 'x'.repeat(72)],
    ['24 characters of three bytes', '漢'.repeat(24)],
    ['only letters', 'correct horse battery'],
    ['spaces at the ends', '  kB7vq  '],
  ])('%s is taken as it is', (_, password) => {
    expect(newPassword.parse(password)).toBe(password);
    expect(passwordFault(password)).toBeUndefined();
  });

  test('are visible in the JSON schema', () => {
    expect(z.toJSONSchema(newPassword)).toMatchObject({ type: 'string', minLength: 8, maxLength: 72, format: 'password' });
  });

  test('every listed worst password could otherwise be set', () => {
    const others = [...WORST_PASSWORDS].filter((password) => password.length < 8 || password !== password.toLowerCase());
    expect(others).toEqual([]);
    expect(WORST_PASSWORDS.size).toBeGreaterThan(200);
  });
});

describe('hashing', () => {
  test('a hash is bcrypt of the cost asked for, and only its password fits', async () => {
    const passwords = passwordsOf();
    const hash = await passwords.hash('correct horse battery');
    expect(hash).toMatch(/^\$2b\$04\$/);
    expect(await passwords.verify('correct horse battery', hash)).toBe(true);
    expect(await passwords.verify('correct horse batterz', hash)).toBe(false);
  });

  test('two ways to type the same letter are the same password', async () => {
    const passwords = passwordsOf();
    expect(await passwords.verify('cafe\u0301 au lait', await passwords.hash('caf\u00e9 au lait'))).toBe(true);
  });

  test('what follows the 72nd byte or a NUL is not ignored', async () => {
    const passwords = passwordsOf();
    const long = 'x'.repeat(72);
    expect(await passwords.verify(`${long}y`, await bcrypt.hash(long, COST))).toBe(false);
    expect(await passwords.verify('correct\0other', await bcrypt.hash('correct', COST))).toBe(false);
    expect(await passwords.verify('correct\0other', await bcrypt.hash('correct\0thing', COST))).toBe(false);
  });

  test.each(['', 'plain text', '$2b$04$short', '$1$abc$def'])('a stored value %j that is no bcrypt hash fits nothing', async (stored) => {
    expect(await passwordsOf().verify(stored, stored)).toBe(false);
  });

  test('needs to be done again when the cost or the form has changed', async () => {
    const hash = await bcrypt.hash('correct horse', COST);
    expect(passwordsOf(COST).needsRehash(hash)).toBe(false);
    expect(passwordsOf(COST + 1).needsRehash(hash)).toBe(true);
    expect(passwordsOf(COST).needsRehash(hash.replace('$2b$', '$2a$'))).toBe(true);
    expect(passwordsOf(COST).needsRehash('plain text')).toBe(true);
  });

  test('an unknown account costs the same work as a wrong password', async () => {
    const passwords = passwordsOf(9);
    const hash = await passwords.hash('correct horse');
    const medianMs = async (password: string, stored: string | undefined) => {
      const times: number[] = [];
      for (let i = 0; i < 15; i += 1) {
        const start = performance.now();
        expect(await passwords.verify(password, stored)).toBe(false);
        times.push(performance.now() - start);
      }
      return median(times);
    };
    /** How far the slowest and the fastest of the four are apart. */
    async function spread(): Promise<number> {
      const times = [
        await medianMs('wrong horse', hash),
        await medianMs('wrong horse', undefined),
        await medianMs('x'.repeat(100), hash),
        await medianMs('wrong horse', 'broken'),
      ];
      return Math.max(...times) / Math.min(...times);
    }
    // Coarse here, for a loaded machine: without the work the ratio is above 100. The fine comparison is made over HTTP.
    expect(await leastOf(5, spread, 2)).toBeLessThan(2);
  });
});

describe('admission', () => {
  function gate() {
    const ends: (() => void)[] = [];
    let running = 0;
    let most = 0;
    const work = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => ends.push(resolve));
      running -= 1;
    };
    return { work, endOne: () => ends.shift()?.(), most: () => most, started: () => ends.length };
  }
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  test('runs no more than allowed, queues up to its bound, and refuses the rest with 503', async () => {
    const metrics = createMetrics();
    const admit = createAdmission({ concurrency: 2, queueMax: 3, metrics });
    const { work, endOne, most, started } = gate();
    const five = Array.from({ length: 5 }, () => admit(work));
    await settle();
    const refused = await admit(work).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Problem);
    expect(refused).toMatchObject({ status: 503, code: 'hash_queue_full' });
    expect(Number((refused as Problem).headers['Retry-After'])).toBeGreaterThanOrEqual(1);
    expect(await metrics.getSingleMetricAsString('auth_hash_queue_length')).toMatch(/auth_hash_queue_length 3\b/);
    expect(await metrics.getSingleMetricAsString('auth_hash_refused_total')).toMatch(/auth_hash_refused_total 1\b/);

    for (let left = 5; left > 0; left -= 1) {
      expect(started()).toBe(Math.min(2, left));
      endOne();
      await settle();
    }
    await Promise.all(five);
    expect(most()).toBe(2);
    expect(await metrics.getSingleMetricAsString('auth_hash_wait_seconds')).toMatch(/auth_hash_wait_seconds_count 5\b/);
  });

  test('work that fails gives its place back', async () => {
    const admit = createAdmission({ concurrency: 1, queueMax: 1, metrics: createMetrics() });
    await expect(admit(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    await expect(admit(async () => 7)).resolves.toBe(7);
  });
});
