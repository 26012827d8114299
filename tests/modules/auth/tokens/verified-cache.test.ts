import { createSecretKey, randomBytes } from 'node:crypto';
import type { VerificationKey } from '../../../../src/modules/auth/keys/keys';
import { createVerifiedCache } from '../../../../src/modules/auth/tokens/verified-cache';

const key: VerificationKey = { kid: 'k', alg: 'HS256', key: createSecretKey(randomBytes(32)) };

function filled(max: number, count: number) {
  const cache = createVerifiedCache<number>(max);
  for (let n = 0; n < count; n += 1) cache.set(`token ${n}`, n, key);
  return cache;
}
const kept = (cache: ReturnType<typeof filled>, count: number) =>
  Array.from({ length: count }, (_, n) => n).filter((n) => cache.get(`token ${n}`) !== undefined);

test('as many as there is room for all stay, with their claims', () => {
  const cache = filled(1000, 1000);
  expect(kept(cache, 1000)).toHaveLength(1000);
  expect(cache.get('token 7')).toMatchObject({ value: 7, key });
  cache.set('token 7', 8, key);
  expect([cache.get('token 7')?.value, kept(cache, 1000).length]).toEqual([8, 1000]);
});

test('beyond that the token used least recently goes', () => {
  const cache = filled(4, 4);
  cache.get('token 0');
  cache.set('token 4', 4, key);
  expect(kept(cache, 5)).toEqual([0, 2, 3, 4]);
  cache.set('token 5', 5, key);
  expect(kept(cache, 6)).toEqual([2, 3, 4, 5]);
});

test('used tokens stay while others come and go, and the cache never grows', () => {
  const cache = filled(100, 100);
  for (let n = 100; n < 10_000; n += 1) {
    cache.get('token 1');
    cache.set(`token ${n}`, n, key);
  }
  const now = kept(cache, 10_000);
  expect(now).toHaveLength(100);
  expect(now[0]).toBe(1);
});

test('room is made in bounded time when everything is in use', () => {
  const cache = filled(100_000, 100_000);
  for (let n = 0; n < 100_000; n += 1) cache.get(`token ${n}`);
  const began = performance.now();
  for (let n = 100_000; n < 101_000; n += 1) cache.set(`token ${n}`, n, key);
  expect(performance.now() - began).toBeLessThan(500);
  expect(cache.get('token 100999')).toBeDefined();
});

test('without room nothing is kept', () => {
  expect(kept(filled(0, 10), 10)).toEqual([]);
});
