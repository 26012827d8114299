import { z } from 'zod';
import { type FieldError, problems } from '../../kernel/errors';
import { boundOf, codeOf, messageOf, paramsOf } from './validation-messages';

/** RFC 6901: `~` and `/` are escaped. */
const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

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

/** A parameter that is repeated arrives as an array. */
const PARAMETER_OPTIONS = {
  ...PARSE_OPTIONS,
  error: (issue: z.core.$ZodRawIssue) =>
    issue.code === 'invalid_type' && Array.isArray(issue.input)
      ? 'must occur once'
      : messageOf(issue),
} as const;

/** Throws 400 with the errors of the path or query; pointers are parameter names. */
export function parseParameters<T extends z.ZodType>(
  schema: T,
  value: unknown,
  where: 'path' | 'query',
): z.output<T> {
  const result = schema.safeParse(value, PARAMETER_OPTIONS);
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
