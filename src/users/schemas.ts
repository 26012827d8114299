import { z } from 'zod';
import { ROLES } from './roles';

/** Printable text without control characters, and not blank: what a name may be in any script. */
export const nameSchema = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}\p{Cs}]*[^\p{Cc}\p{Cs}\s][^\p{Cc}\p{Cs}]*$/u, 'must not be blank or hold control characters')
  .meta({ description: 'Name as shown, 1 to 100 characters.', examples: ['Ada Lovelace'] });

/** The practical subset of RFC 5321: a dot-atom local part of at most 64, a domain with a dot, 254 in all. */
export const emailSchema = z
  .string()
  .min(6)
  .max(254)
  .regex(
    /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,32}(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,31})?@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.[A-Za-z]{2,24}$/,
    'must be an e-mail address',
  )
  .meta({ description: 'E-mail address; letter case does not distinguish accounts.', examples: ['ada@example.org'] });

export const roleSchema = z.enum(ROLES);

export const userId = z
  .string()
  .regex(/^[0-9a-f]{24}$/, 'must be 24 hexadecimal digits in lower case')
  .meta({ description: 'Id of a user, 24 hexadecimal digits.', examples: ['652f1c3e9b1d4a0012ab34cd'] });
