import { z } from 'zod';
import { characters } from '../http/validation';
import { ROLES } from './roles';

const CONTROL = '\\u0000-\\u001f\\u007f-\\u009f';
/** Spelt out, as `\s` and `\p{…}` do not mean the same in every language that reads the OpenAPI document. */
const BLANK = ' \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff';
const NAME = new RegExp(`^[^${CONTROL}]*[^${CONTROL}${BLANK}][^${CONTROL}]*$`, 'u');

/** Printable text without control characters, and not blank: what a name may be in any script. */
export const nameSchema = characters(1, 100)
  .regex(NAME, 'must not be blank or hold control characters')
  .refine((name) => !/\p{Cs}/u.test(name), 'must be Unicode text')
  .meta({ description: 'Name as shown, 1 to 100 characters.', examples: ['Ada Lovelace'] });

/** The practical subset of RFC 5321: a dot-atom local part, a domain with a dot, 254 in all. */
export const emailSchema = z
  .string()
  .min(6)
  .max(254, { abort: true })
  .regex(
    /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.[A-Za-z]{2,24}$/,
    'must be an e-mail address',
  )
  .meta({ description: 'E-mail address; letter case does not distinguish accounts.', examples: ['ada@example.org'] });

export const roleSchema = z.enum(ROLES);

export const userId = z
  .string()
  .regex(/^[0-9a-f]{24}$/, 'must be 24 hexadecimal digits in lower case')
  .meta({ description: 'Id of a user, 24 hexadecimal digits.', examples: ['652f1c3e9b1d4a0012ab34cd'] });
