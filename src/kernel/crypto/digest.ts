import { createHash, createHmac, hash, type KeyObject, timingSafeEqual } from 'node:crypto';

/**
 * SHA-256 in base64url. For values that are random and long, or not secret: a short or guessable
 * value needs `keyedDigest`.
 */
export const sha256 = (value: string | Buffer): string => hash('sha256', value, 'base64url');

/**
 * HMAC-SHA-256 in base64url, cut to `chars`: without the key, guesses cannot be tested against it.
 */
export const keyedDigest = (key: string | Buffer | KeyObject, text: string, chars = 43): string =>
  createHmac('sha256', key).update(text).digest('base64url').slice(0, chars);

/** A source expression of a Content-Security-Policy for an inline script or style. */
export const cspHash = (text: string): string =>
  `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Takes the same time wherever the values differ. The length is not hidden. */
export function isEqualInConstantTime(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
