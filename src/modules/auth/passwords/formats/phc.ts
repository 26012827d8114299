import { timingSafeEqual } from 'node:crypto';
import { assertWithin, malformed } from './stored-hash';

/**
 * The PHC string format (github.com/P-H-C/phc-string-format): `$id$v=1$a=1,b=2$salt$digest`, here
 * with all of its parts. There is one spelling of each value: no padding, no leading zeros, the
 * parameters in one order.
 */
export interface PhcString {
  readonly id: string;
  readonly version: string | undefined;
  readonly parameters: readonly (readonly [name: string, value: string])[];
  readonly salt: string;
  readonly digest: string;
}

/** Longer than the longest hash within the bounds. */
export const MAX_HASH_CHARS = 512;

const VALUE = '[A-Za-z0-9/+.-]+';
const PAIR = `[a-z]+=${VALUE}`;
const PHC = new RegExp(
  `^\\$([a-z0-9-]{1,32})(?:\\$v=(${VALUE}))?\\$(${PAIR}(?:,${PAIR})*)\\$(${VALUE})\\$(${VALUE})$`,
);

export function parsePhc(text: string): PhcString {
  const [, id = '', version, parameters = '', salt = '', digest = ''] = PHC.exec(text) ?? [];
  if (id === '') throw malformed('is not a PHC string');
  const pairs = parameters.split(',').map((pair) => {
    const [name = '', ...value] = pair.split('=');
    return [name, value.join('=')] as const;
  });
  return { id, version, parameters: pairs, salt, digest };
}

/** For the algorithms of which there is one version. */
export function parseUnversioned(text: string): PhcString {
  const phc = parsePhc(text);
  if (phc.version !== undefined) throw malformed('must have no version (v)');
  return phc;
}

/** The numbers of a hash that has exactly these parameters, in this order. */
export function numbersOf<Name extends string>(
  { parameters }: PhcString,
  names: readonly Name[],
): Record<Name, number> {
  if (parameters.map(([name]) => name).join() !== names.join())
    throw malformed(`must have the parameters ${names.join(', ')}`);
  return Object.fromEntries(
    parameters.map(([name, value]) => [name, wholeNumber(name, value)]),
  ) as Record<Name, number>;
}

export function wholeNumber(name: string, text: string): number {
  if (!/^(0|[1-9]\d{0,9})$/.test(text)) throw malformed(`must have a whole number as ${name}`);
  return Number(text);
}

export function parametersText(values: Record<string, number>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join();
}

/** PHC's Base64: the standard alphabet without padding. */
export const encodeB64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');

/** Accepts the one spelling of the bytes only: no padding, no bits past the last byte. */
function decodeB64(name: string, text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (encodeB64(bytes) !== text) throw malformed(`must have ${name} in canonical Base64`);
  return bytes;
}

const DIGEST_BYTES = { min: 16, max: 64 };
export const SALT_MAX_BYTES = 64;

export function decodeSalt(text: string, minBytes = 1): Buffer {
  const salt = decodeB64('a salt', text);
  assertWithin('a salt in bytes', salt.length, minBytes, SALT_MAX_BYTES);
  return salt;
}

export function decodeDigest(text: string): Buffer {
  const digest = decodeB64('a digest', text);
  assertWithin('a digest in bytes', digest.length, DIGEST_BYTES.min, DIGEST_BYTES.max);
  return digest;
}

/** In a time that does not depend on where the digests differ. */
export const isSameDigest = (a: Buffer, b: Buffer): boolean =>
  a.length === b.length && timingSafeEqual(a, b);
