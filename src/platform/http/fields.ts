import { z } from 'zod';
import { characters } from './validation';

/**
 * Explicit character classes, because `\s` and `\p{…}` differ between the languages that read the
 * OpenAPI document. Refused anywhere: control characters, line and paragraph separators,
 * bidirectional controls (UTS #55), annotations and noncharacters.
 */
const REFUSED =
  '\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u206f\\ufdd0-\\ufdef\\ufff9-\\ufffb\\ufffe\\uffff';
/**
 * Invisible characters: blanks, default ignorable code points, fillers. Allowed beside a visible
 * character (emoji, Persian, Hangul).
 */
const INVISIBLE =
  ' \\u00a0\\u00ad\\u034f\\u061c\\u115f\\u1160\\u1680\\u17b4\\u17b5\\u180b-\\u180f\\u2000-\\u200f\\u202f\\u205f-\\u2065\\u2800\\u3000\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufff8';
const NAME = new RegExp(`^[^${REFUSED}]*[^${REFUSED}${INVISIBLE}][^${REFUSED}]*$`, 'u');

/**
 * The same check beyond the BMP, where the regular expressions of those languages differ: at least
 * one letter, digit, sign or symbol.
 */
const isVisible = (name: string): boolean => {
  const seen = name.replaceAll(/[\p{Default_Ignorable_Code_Point}\u2800\u{1d159}]/gu, '');
  return /[\p{L}\p{N}\p{P}\p{S}\p{Co}]/u.test(seen);
};

/** A line in any script with at least one visible character. Surrounding blanks are dropped. */
export const displayLine = (maxChars: number) =>
  characters(1, maxChars)
    .regex(NAME, {
      error:
        'must show at least one character, and hold no control characters, line breaks or changes of direction',
      abort: true,
    })
    .refine((name) => !/[\p{Cs}\p{Noncharacter_Code_Point}]/u.test(name), {
      error: 'must be Unicode text',
      abort: true,
    })
    .trim()
    .refine(isVisible, 'must show at least one character');

export const displayName = displayLine(100).meta({
  description: 'Name as shown, 1 to 100 characters; blanks around it are dropped.',
  examples: ['Ada Lovelace'],
});

/** 256 random bits in base64url. `message`: of another text. */
export const opaqueToken = (message: string, description: string) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/, message)
    .meta({
      description,
      maxLength: 43,
      examples: ['q2Vb4nK8sT1xY6wR3mP9zA5cD7fG0hJ2lN4oQ6uE8iS'],
    });

const LOCAL_PART_MAX = 64;

/**
 * The practical subset of RFC 5321: a dot-atom local part of at most 64, a domain with a dot (also
 * as `xn--`), 254 in all.
 */
export const emailAddress = z
  .string()
  .max(254, { abort: true })
  .regex(
    /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.([A-Za-z]{2,63}|[Xx][Nn]--[A-Za-z0-9]([A-Za-z0-9-]{0,57}[A-Za-z0-9])?)$/,
    { error: 'must be an e-mail address', abort: true },
  )
  .refine((email) => email.indexOf('@') <= LOCAL_PART_MAX, {
    error: `must have at most ${LOCAL_PART_MAX} characters before the @ (RFC 5321 §4.5.3.1.1)`,
    params: { code: 'local_part_too_long', max: LOCAL_PART_MAX },
  })
  .meta({
    description: 'E-mail address in ASCII; letter case does not distinguish accounts.',
    minLength: 6,
    examples: ['ada@example.org'],
  });

/** A MongoDB ObjectId in lower case. */
export const objectId = z
  .string()
  .regex(/^[0-9a-f]{24}$/, 'must be 24 hexadecimal digits in lower case')
  .meta({
    description: 'Id, 24 hexadecimal digits.',
    maxLength: 24,
    examples: ['652f1c3e9b1d4a0012ab34cd'],
  });

/** RFC 3339 with any offset. In UTC, as it is shown again, its year has four digits too. */
export const timestamp = (
  error: (issue: { readonly code?: string }) => string | undefined = () => undefined,
) =>
  z.iso
    .datetime({ offset: true, error, abort: true })
    // As JSON another year has a sign and six digits, and no time is null.
    .refine((text) => /^\d/.test(new Date(text).toJSON() ?? ''), {
      error: 'must be in the years 0000 to 9999',
    });
