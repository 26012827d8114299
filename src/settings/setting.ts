import { z } from 'zod';

/** One environment variable: how it is read, what it means. The tables of these are the only list of settings. */
export interface Setting<T> {
  readonly env: string;
  readonly schema: z.ZodType<T>;
  /** As one would write it in .env; undefined where unset is a value of its own. */
  readonly fallback: string | undefined;
  /** One sentence for .env.example and the README, with the unit where there is one. */
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

/** The schemas take the variable's text (or undefined when it is unset and has no default). */
export const text = () => z.string().trim().min(1);

export const optional = <T>(schema: z.ZodType<T>): z.ZodType<T | undefined> => z.union([z.undefined(), schema]);

export const integer = (min: number, max: number): z.ZodType<number> =>
  z
    .string()
    .trim()
    .regex(/^-?\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`);

export const oneOf = <const T extends readonly [string, ...string[]]>(...values: T): z.ZodType<T[number]> =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` });

export const flag = (): z.ZodType<boolean> =>
  z
    .enum(['true', 'false', '1', '0', 'on', 'off'], { error: 'must be true or false' })
    .transform((v) => v === 'true' || v === '1' || v === 'on');

/** A comma-separated list; empty text is an empty list. */
export const list = (): z.ZodType<readonly string[]> =>
  z.string().transform((v) =>
    v
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  );

export const url = (...protocols: string[]): z.ZodType<string> =>
  z
    .string()
    .trim()
    .refine(
      (value) =>
        protocols.some((protocol) => value.startsWith(`${protocol}://`) && value.length > protocol.length + 3) &&
        (!/^https?:/.test(value) || URL.canParse(value)),
      {
        error: `must be a URL that starts with ${protocols.map((p) => `${p}://`).join(' or ')}`,
      },
    );
