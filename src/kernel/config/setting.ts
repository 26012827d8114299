import { z } from 'zod';

/**
 * One environment variable, with its schema and its description. The tables in this folder are the
 * only list of settings.
 */
export interface Setting<T> {
  readonly env: string;
  readonly schema: z.ZodType<T>;
  /** The default, as text in .env; undefined when the setting may be unset. */
  readonly fallback: string | undefined;
  /** One sentence, with the unit, for .env.example and docs/configuration.md. */
  readonly doc: string;
  readonly secret?: boolean;
}

export function setting<T>(
  env: string,
  schema: z.ZodType<T>,
  fallback: string | undefined,
  doc: string,
  options: { secret?: boolean } = {},
): Setting<T> {
  return { env, schema, fallback, doc, ...options };
}

// The schemas take the variable's text, or undefined when it is unset and has no default.

const NO_CONTROLS = 'must not contain line breaks or control characters';

export const text = () => z.string().trim().min(1, 'must not be blank');

/** A secret is used byte for byte. Surrounding blanks are always a mistake, so they are refused. */
export const secretText = () =>
  z
    .string()
    .min(1)
    .refine((value) => value === value.trim(), 'must not begin or end with a blank or a line break')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern matches control characters.
    .refine((value) => !/[\x00-\x1f\x7f]/.test(value), NO_CONTROLS);

export const optional = <T>(schema: z.ZodType<T>): z.ZodType<T | undefined> => schema.optional();

export const integer = (min: number, max: number): z.ZodType<number> =>
  z
    .string()
    .trim()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}, without a unit`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`);

export const oneOf = <const T extends readonly [string, ...string[]]>(
  ...values: T
): z.ZodType<T[number]> =>
  z
    .string()
    .trim()
    .pipe(z.enum(values, { error: `must be one of ${values.join(', ')}` }));

export const flag = (): z.ZodType<boolean> =>
  z
    .string()
    .trim()
    .pipe(z.enum(['true', 'false', '1', '0', 'on', 'off'], { error: 'must be true or false' }))
    .transform((v) => v === 'true' || v === '1' || v === 'on');

const REFUSED_IN_NAMES = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** Of a name that people read; what an account may be called is platform/http/fields.ts. */
export const faultOfShownName = (value: string, max: number): string | undefined =>
  [...value].length > max ||
  REFUSED_IN_NAMES.test(value) ||
  !/[\p{L}\p{N}\p{P}\p{S}]/u.test(value.replaceAll(INVISIBLE, ''))
    ? `must have 1 to ${max} characters, of them a visible one, and no control characters or changes of direction`
    : undefined;

/** A schema whose check returns the fault of the value, or undefined. */
export const checked = (faultOf: (value: string) => string | undefined): z.ZodType<string> =>
  z
    .string()
    .trim()
    .superRefine((value, context) => {
      const message = faultOf(value);
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    });
