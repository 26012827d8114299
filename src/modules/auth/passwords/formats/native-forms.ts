import { assertCanonicalBcrypt } from './bcrypt';
import { encodeB64, parametersText, wholeNumber } from './phc';
import { malformed, unsupported } from './stored-hash';
import { WEAK_DIGEST_BYTES, type WeakAlgorithm, type WeakHash, wrappedText } from './wrapped';

/** A hash that is strong enough to store as it is, or a weak one that must be wrapped. */
export type NativeHash = { readonly text: string } | { readonly weak: WeakHash };

/** The forms of other systems, by their prefixes. The result is not yet checked. */
export function readNativeForm(hash: string): NativeHash | undefined {
  const django = /^(\w+)\$(.*)$/s.exec(hash);
  const ldap = /^\{([A-Za-z0-9-]+)\}(.*)$/s.exec(hash);
  if (ldap !== null) return ldapForm(ldap[1] ?? '', ldap[2] ?? '');
  if (django !== null) return djangoForm(django[1] ?? '', django[2] ?? '');
  if (/^\$pbkdf2(-sha\d+)?\$\d/.test(hash)) return passlibPbkdf2(hash);
  // argon2's version 16 was written without the version.
  if (/^\$argon2id?\$m=/.test(hash)) return { text: hash.replace('$m=', '$v=16$m=') };
  return undefined;
}

/** Base64 with or without padding, as bytes. */
export function decodeAnyB64(name: string, text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  const spelled = bytes.toString('base64');
  if (text === '' || (text !== spelled && text !== encodeB64(bytes)))
    throw malformed(`must have ${name} in canonical Base64`);
  return bytes;
}

function phcOf(
  id: string,
  numbers: Record<string, number>,
  salt: Buffer,
  digest: Buffer,
): NativeHash {
  return { text: `$${id}$${parametersText(numbers)}$${encodeB64(salt)}$${encodeB64(digest)}` };
}

/** Django (`PASSWORD_HASHERS`): the salt is text. */
function djangoForm(name: string, rest: string): NativeHash | undefined {
  const fieldsOf = (count: number) => {
    const fields = rest.split('$');
    if (fields.length === count) return fields;
    throw malformed(`must have ${count + 1} fields as Django's ${name}`);
  };
  switch (name) {
    case 'pbkdf2_sha256':
    case 'pbkdf2_sha1':
      return djangoPbkdf2(name.replace('_', '-'), fieldsOf(3));
    case 'scrypt':
      return djangoScrypt(fieldsOf(5));
    case 'argon2':
      return readNativeForm(`$${rest}`) ?? { text: `$${rest}` };
    case 'bcrypt':
      return { text: rest };
    case 'bcrypt_sha256':
      return bcryptOfSha256(rest);
    case 'md5':
    case 'sha1': {
      const [salt = '', digest = ''] = fieldsOf(2);
      return { weak: weakOf(name, digest, { salt: Buffer.from(salt), saltPosition: 'prefix' }) };
    }
    default:
      return undefined;
  }
}

function djangoPbkdf2(
  id: string,
  [iterations = '', salt = '', text = '']: readonly string[],
): NativeHash {
  const digest = decodeAnyB64('a digest', text);
  const numbers = { i: wholeNumber('the iterations', iterations), l: digest.length };
  return phcOf(id, numbers, Buffer.from(salt), digest);
}

function djangoScrypt([
  n = '',
  salt = '',
  r = '',
  p = '',
  text = '',
]: readonly string[]): NativeHash {
  const number = (field: string) => wholeNumber('N, r and p', field);
  const numbers = { ln: Math.log2(number(n)), r: number(r), p: number(p) };
  if (!Number.isInteger(numbers.ln)) throw malformed('must have a power of two as N');
  return phcOf('scrypt', numbers, Buffer.from(salt), decodeAnyB64('a digest', text));
}

/** Django hashes the hex of SHA-256 by bcrypt, as this service does with weak digests. */
function bcryptOfSha256(text: string): NativeHash {
  if (!/^\$2[aby]\$\d{2}\$[./A-Za-z0-9]{53}$/.test(text))
    throw malformed("must hold a bcrypt hash as Django's bcrypt_sha256");
  assertCanonicalBcrypt(text);
  return { text: wrappedText({ algorithm: 'sha256' }, text) };
}

/** passlib writes `.` for `+`, and PBKDF2's rounds without a name. */
function passlibPbkdf2(hash: string): NativeHash {
  const [, id = '', rounds = '', salt = '', digest = '', ...more] = hash.split('$');
  if (more.length > 0) throw malformed('must have four fields as PBKDF2 of passlib');
  const bytesOf = (name: string, text: string) => decodeAnyB64(name, text.replaceAll('.', '+'));
  const bytes = bytesOf('a digest', digest);
  const numbers = { i: wholeNumber('the rounds', rounds), l: bytes.length };
  const name = id === 'pbkdf2' ? 'pbkdf2-sha1' : id;
  return phcOf(name, numbers, bytesOf('a salt', salt), bytes);
}

/** RFC 2307 schemes: Base64 of the digest and, after it, the salt. */
const LDAP_DIGESTS: Readonly<Record<string, WeakAlgorithm>> = {
  MD5: 'md5',
  SMD5: 'md5',
  SHA: 'sha1',
  SSHA: 'sha1',
  SHA256: 'sha256',
  SSHA256: 'sha256',
};

function ldapForm(scheme: string, rest: string): NativeHash {
  const name = scheme.toUpperCase();
  // OpenLDAP's modules and Spring Security hold a hash in its own form.
  if (['CRYPT', 'BCRYPT', 'ARGON2'].includes(name)) return readNativeForm(rest) ?? { text: rest };
  const algorithm = LDAP_DIGESTS[name];
  if (algorithm === undefined) throw unsupported('must have a scheme {SSHA}, {SHA}, {SMD5}, …');
  const bytes = decodeAnyB64('a digest and salt', rest);
  const length = WEAK_DIGEST_BYTES[algorithm];
  const salt = bytes.subarray(length);
  if (bytes.length < length || salt.length > 0 !== /^S(SHA|MD5)/.test(name))
    throw malformed(`must have ${length} bytes of digest, and a salt only where salted`);
  return { weak: { algorithm, digest: bytes.subarray(0, length), salt } };
}

/** A digest in hex or Base64. */
export function weakOf(
  algorithm: WeakAlgorithm,
  text: string,
  salted: Pick<WeakHash, 'salt' | 'saltPosition'>,
): WeakHash {
  const length = WEAK_DIGEST_BYTES[algorithm];
  const isHex = text.length === 2 * length && /^[0-9a-f]+$/i.test(text);
  const digest = isHex ? Buffer.from(text, 'hex') : decodeAnyB64('a digest', text);
  if (digest.length !== length)
    throw malformed(`must have a digest of ${length} bytes in hex or Base64`);
  return { algorithm, digest, ...salted };
}
