import { z } from 'zod';
import { timestamp } from './fields';

/** A whole number in a query: text on the wire, an integer in the document. */
export const wholeNumber = (minimum: number, maximum: number) =>
  z
    .string()
    .refine(
      (text) =>
        /^(0|[1-9]\d{0,8})$/.test(text) && Number(text) >= minimum && Number(text) <= maximum,
      {
        error: `must be a whole number from ${minimum} to ${maximum}`,
        params: { code: 'wrong_format', min: minimum, max: maximum },
      },
    )
    .transform(Number)
    .meta({ type: 'integer', minimum, maximum });

/** Above every place in a log; 15 digits, which a double holds. */
export const SEQUENCE_MAX = 999_999_999_999_999;

/** A place in a log, or 0: text on the wire, an integer in the document. */
export const sequenceNumber = (message: string) =>
  z
    .string()
    .regex(/^(0|[1-9]\d{0,14})$/, message)
    .transform(Number)
    .meta({ type: 'integer', minimum: 0, maximum: SEQUENCE_MAX });

export const flag = () =>
  z
    .string()
    .refine((text) => text === 'true' || text === 'false', {
      error: 'must be true or false',
      params: { code: 'not_allowed', allowed: ['true', 'false'] },
    })
    .transform((text) => text === 'true')
    .meta({ type: 'boolean' });

/** `a,b,c` on the wire, an array in the document (`explode: false`). Repeated items count once. */
export const commaSeparated = <T extends string>(item: z.ZodType<T>, maxItems: number) =>
  z
    .string()
    .superRefine((text, context) => {
      const items = text.split(',');
      const fail = (message: string, params: Record<string, unknown>) =>
        context.addIssue({ code: 'custom', message, params, continue: false });
      if (items.length > maxItems)
        fail(`must have at most ${maxItems} items`, { code: 'too_big', max: maxItems });
      const fault = items.map((one) => item.safeParse(one).error).find((one) => one !== undefined);
      const issue = fault?.issues[0];
      if (issue?.code === 'invalid_value') {
        const allowed = issue.values.map(String);
        fail(`must be one or more of ${allowed.join(', ')}, separated by commas`, {
          code: 'not_allowed',
          allowed,
        });
      } else if (issue !== undefined)
        fail(`must be items separated by commas, each of which ${issue.message}`, {
          code: 'wrong_format',
        });
    })
    .transform((text): T[] => [...new Set(text.split(','))].sort() as T[])
    .meta({ type: 'array', items: itemSchema(item), minItems: 1, maxItems });

function itemSchema(item: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(item, { target: 'draft-2020-12' });
  return schema;
}

/** RFC 3339 with any offset; ms since the epoch. */
const TIME_MAX_CHARS = 35;
export const time = () =>
  timestamp(() => 'must be a time by RFC 3339, as 2026-01-31T12:00:00Z')
    .max(TIME_MAX_CHARS)
    .transform((text) => Date.parse(text))
    .meta({
      type: 'string',
      format: 'date-time',
      maxLength: TIME_MAX_CHARS,
      examples: ['2026-01-31T12:00:00Z'],
    });
