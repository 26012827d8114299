import { hkdfSync } from 'node:crypto';
import { keyedDigest } from './digest';

/** Identifies a client without revealing its address. The same on every host of a deployment. */
export type ClientDigest = (key: string) => string;

const CHARS = 22;

/** Keyed: a plain hash of an address is found by trying all addresses. */
export function createClientDigest(secret: string): ClientDigest {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'names of clients in limits', 32));
  return (text) => keyedDigest(key, text, CHARS);
}
