import { z } from 'zod';
import { characters } from '../../../platform/http/validation';
import { COMMON_PASSWORDS } from './common-passwords';

/** The algorithms of new hashes. */
export type PasswordKind = 'bcrypt' | 'argon2id';

/**
 * In characters (code points). NIST SP 800-63B-4 §3.1.1.2: at least 8 beside another factor, 15
 * recommended.
 */
const PASSWORD_MIN_CHARS = 8;
/** bcrypt ignores bytes past 72: a longer password is refused, never truncated. */
const BCRYPT_MAX_BYTES = 72;
/** For argon2id, in characters. NIST asks for at least 64; a login takes 256. */
const ARGON2_MAX_CHARS = 128;
/** The range of BCRYPT_COST. */
export const BCRYPT_MIN_COST = 4;
export const BCRYPT_MAX_COST = 16;

export interface PasswordFault {
  readonly code:
    | 'password_too_short'
    | 'password_too_long'
    | 'password_not_text'
    | 'password_too_common';
  readonly message: string;
}

/** Passwords are hashed and compared in NFC: keyboards encode the same character differently. */
export const normalizePassword = (password: string) => password.normalize('NFC');

/** Whether bcrypt can hash it without loss. If not, it is wrong at login and refused when set. */
export function isHashable(password: string): boolean {
  return !/\p{Surrogate}|\0/u.test(password) && Buffer.byteLength(password) <= BCRYPT_MAX_BYTES;
}

const LIMITS = {
  bcrypt: {
    text: `${BCRYPT_MAX_BYTES} bytes of UTF-8`,
    isTooLong: (password: string) => Buffer.byteLength(password) > BCRYPT_MAX_BYTES,
  },
  argon2id: {
    text: `${ARGON2_MAX_CHARS} characters`,
    isTooLong: (password: string) => [...password].length > ARGON2_MAX_CHARS,
  },
} as const;

/** `kind`: the algorithm that will hash it. */
export function passwordFault(
  password: string,
  kind: PasswordKind = 'bcrypt',
): PasswordFault | undefined {
  const normalized = normalizePassword(password);
  const { text, isTooLong } = LIMITS[kind];
  if (/\p{Surrogate}|\0/u.test(password))
    return { code: 'password_not_text', message: 'must be Unicode text without NUL' };
  if (isTooLong(password) || isTooLong(normalized))
    return { code: 'password_too_long', message: `must have at most ${text}` };
  if ([...normalized].length < PASSWORD_MIN_CHARS) {
    return {
      code: 'password_too_short',
      message: `must have at least ${PASSWORD_MIN_CHARS} characters`,
    };
  }
  if (COMMON_PASSWORDS.has(normalized.toLowerCase())) {
    return {
      code: 'password_too_common',
      message: 'is one of the most common passwords',
    };
  }
  return undefined;
}

const bcryptLengths = () =>
  z
    .string()
    .min(PASSWORD_MIN_CHARS, {
      error: `must have at least ${PASSWORD_MIN_CHARS} characters`,
      abort: true,
    })
    .max(BCRYPT_MAX_BYTES, {
      error: `must have at most ${LIMITS.bcrypt.text}`,
      abort: true,
    });

/** A password to set. The JSON schema has the lengths only; the other rules answer 422. */
export const newPasswordOf = (kind: PasswordKind): z.ZodType<string> =>
  (kind === 'bcrypt' ? bcryptLengths() : characters(PASSWORD_MIN_CHARS, ARGON2_MAX_CHARS))
    .superRefine((password, context) => {
      const fault = passwordFault(password, kind);
      if (fault !== undefined)
        context.addIssue({ code: 'custom', message: fault.message, params: { code: fault.code } });
    })
    .meta({
      format: 'password',
      description: `At least ${PASSWORD_MIN_CHARS} characters, at most ${LIMITS[kind].text}, no NUL, and not one of the most common passwords.`,
      examples: ['correct horse battery'],
    });
