import { z } from 'zod';
import { type FieldError, problems } from '../../kernel/errors';
import { type FieldCode, fieldCodes } from '../../kernel/problem-codes';

type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;
type Params = Record<string, string | number | readonly string[]>;

/** RFC 6901: `~` and `/` are escaped. */
const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

function codeOf(issue: Issue): FieldCode {
  switch (issue.code) {
    case 'invalid_type':
      return issue.message === REQUIRED ? 'required' : 'wrong_type';
    case 'too_small':
      return issue.origin === 'string' ? 'too_short' : 'too_small';
    case 'too_big':
      return issue.origin === 'string' ? 'too_long' : 'too_big';
    case 'invalid_format':
      return 'wrong_format';
    case 'invalid_value':
      return 'not_allowed';
    case 'custom':
      return fieldCodes.find((code) => code === issue.params?.['code']) ?? 'invalid';
    default:
      return 'invalid';
  }
}

const REQUIRED = 'is required';

const TYPE_NAMES: Readonly<Record<string, string>> = {
  array: 'an array',
  boolean: 'true or false',
  int: 'a whole number',
  null: 'null',
  number: 'a number',
  object: 'an object',
  record: 'an object',
  string: 'a string',
};

const countOf = (count: number, noun: string) => `${count} ${count === 1 ? noun : `${noun}s`}`;

/** `must have at least 8 characters`, with the noun that fits the type. */
function boundOf(word: 'least' | 'most', origin: string, limit: number): string {
  if (origin === 'string') return `must have at ${word} ${countOf(limit, 'character')}`;
  return origin === 'array' || origin === 'set' || origin === 'object'
    ? `must have at ${word} ${countOf(limit, origin === 'object' ? 'member' : 'item')}`
    : `must be at ${word} ${limit}`;
}

/** The default messages. They never contain the input, which may be a password. */
function messageOf(issue: RawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? REQUIRED
        : `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}`;
    case 'too_small':
      return boundOf('least', issue.origin, Number(issue.minimum));
    case 'too_big':
      return boundOf('most', issue.origin, Number(issue.maximum));
    case 'invalid_value':
      return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    default:
      return 'does not have the right form';
  }
}

/** The numbers and names in the message, for clients with messages of their own. */
function paramsOf(issue: Issue): Params | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.message === REQUIRED ? undefined : { expected: issue.expected };
    case 'too_small':
      return { min: Number(issue.minimum) };
    case 'too_big':
      return { max: Number(issue.maximum) };
    case 'invalid_value':
      return { allowed: issue.values.map(String) };
    case 'custom': {
      const { code: _, ...params } = (issue.params ?? {}) as Params;
      return Object.keys(params).length === 0 ? undefined : params;
    }
    default:
      return undefined;
  }
}

/**
 * The most field errors in one response. A body of 32 KB can have some thousand, and no client
 * repairs them one by one.
 */
export const MAX_FIELD_ERRORS = 50;

export function fieldErrors(
  error: Pick<z.ZodError, 'issues'>,
  under: readonly PropertyKey[] = [],
): FieldError[] {
  const errors = error.issues.slice(0, MAX_FIELD_ERRORS).flatMap((issue): FieldError[] => {
    const path = [...under, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.slice(0, MAX_FIELD_ERRORS).map((key) => ({
        pointer: pointerOf([...path, key]),
        code: 'unknown_field',
        message: 'is not a known field',
      }));
    }
    // The last member of a union is the general form, and its errors are the most useful.
    const general = issue.code === 'invalid_union' ? issue.errors.at(-1) : undefined;
    if (general !== undefined && general.length > 0) return fieldErrors({ issues: general }, path);
    const params = paramsOf(issue);
    return [
      {
        pointer: pointerOf(path),
        code: codeOf(issue),
        message: issue.message,
        ...(params && { params }),
      },
    ];
  });
  return errors.slice(0, MAX_FIELD_ERRORS);
}

const PARSE_OPTIONS = {
  // The input may be a password.
  reportInput: false,
  error: messageOf,
} as const;

/** A string with length limits in code points, as in JSON Schema, not in UTF-16 units. */
export const characters = (min: number, max: number) =>
  z
    .string()
    .superRefine((text, context) => {
      // Counting is rarely necessary: a text has at most as many code points as units, and at least
      // half as many.
      const count = text.length <= max && text.length >= min * 2 ? min : [...text].length;
      // No further checks: a pattern may take quadratic time.
      const fail = (message: string, params: Record<string, unknown>) =>
        context.addIssue({ code: 'custom', message, params, continue: false });
      if (count < min) fail(boundOf('least', 'string', min), { code: 'too_short', min });
      if (count > max) fail(boundOf('most', 'string', max), { code: 'too_long', max });
    })
    .meta({ minLength: min, maxLength: max });

/** Throws 422 with the field errors of the body. */
export function parseBody<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value, PARSE_OPTIONS);
  if (result.success) return result.data;
  throw problems.invalid(fieldErrors(result.error));
}

/** Throws 400 with the errors of the path or query; pointers are parameter names. */
export function parseParameters<T extends z.ZodType>(
  schema: T,
  value: unknown,
  where: 'path' | 'query',
): z.output<T> {
  const result = schema.safeParse(value, PARSE_OPTIONS);
  if (result.success) return result.data;
  const errors = fieldErrors(result.error).map(
    (one): FieldError => ({
      ...one,
      pointer: one.pointer.slice(1),
      code: one.code === 'unknown_field' ? 'unknown_parameter' : one.code,
    }),
  );
  throw problems.malformed(
    where === 'path' ? 'invalid_path_parameter' : 'invalid_query',
    `A ${where} parameter is not valid.`,
    { errors },
  );
}
