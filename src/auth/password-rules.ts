import { z } from 'zod';
import { WORST_PASSWORDS } from './worst-passwords';

/** In characters (code points). NIST SP 800-63B-4 §3.1.1.2: at least 8 beside another factor, 15 recommended. */
export const PASSWORD_MIN_CHARS = 8;
/** bcrypt reads 72 bytes and ignores the rest: anything longer is refused, never cut. */
export const PASSWORD_MAX_BYTES = 72;

export interface PasswordFault {
  readonly code: 'password_too_short' | 'password_too_long' | 'password_not_text' | 'password_too_common';
  readonly message: string;
}

/** One spelling for what looks and types the same on different keyboards: hashed and compared in NFC. */
export const normalizePassword = (password: string) => password.normalize('NFC');

/** What can be hashed without loss. Anything else is the wrong password at a login, and refused as a new one. */
export function isHashable(password: string): boolean {
  return !/\p{Surrogate}|\0/u.test(password) && Buffer.byteLength(password) <= PASSWORD_MAX_BYTES;
}

export function passwordFault(password: string): PasswordFault | undefined {
  const normalized = normalizePassword(password);
  if (/\p{Surrogate}|\0/u.test(password)) return { code: 'password_not_text', message: 'must be Unicode text without NUL' };
  if (!isHashable(password) || !isHashable(normalized)) {
    return { code: 'password_too_long', message: `must have at most ${PASSWORD_MAX_BYTES} bytes of UTF-8` };
  }
  if ([...normalized].length < PASSWORD_MIN_CHARS) {
    return { code: 'password_too_short', message: `must have at least ${PASSWORD_MIN_CHARS} characters` };
  }
  if (WORST_PASSWORDS.has(normalized.toLowerCase())) {
    return { code: 'password_too_common', message: 'is one of the passwords that are guessed first' };
  }
  return undefined;
}

/** A password to be set. In the JSON schema: a string of 8 to 72 characters; the rest of the rules answers 422. */
export const newPassword = z
  .string()
  .min(PASSWORD_MIN_CHARS, { error: `must have at least ${PASSWORD_MIN_CHARS} characters`, abort: true })
  .max(PASSWORD_MAX_BYTES, { error: `must have at most ${PASSWORD_MAX_BYTES} bytes of UTF-8`, abort: true })
  .superRefine((password, context) => {
    const fault = passwordFault(password);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault.message, params: { code: fault.code } });
  })
  .meta({
    format: 'password',
    description: `At least ${PASSWORD_MIN_CHARS} characters, at most ${PASSWORD_MAX_BYTES} bytes of UTF-8, no NUL, none of the commonest.`,
  });
