import { z } from 'zod';

/**
 * Building blocks of response schemas. Every bound holds for stored data, so clients can rely on
 * it.
 */

export const shownId = (description: string) =>
  z
    .string()
    .regex(/^[0-9a-f]{24}$/)
    .meta({ description, minLength: 24, maxLength: 24, examples: ['652f1c3e9b1d4a0012ab34cd'] });

export const shownTime = (description: string) =>
  z.iso.datetime().meta({ description, examples: ['2026-01-31T12:00:00.000Z'] });

export const shownText = (maxLength: number, description: string, example: string) =>
  z.string().meta({ description, maxLength, examples: [example] });

/** One page of a list; `next_cursor` leads to the next. */
export const pageOf = <T extends z.ZodType>(item: T, maxItems: number) => ({
  data: z.array(item).max(maxItems),
  next_cursor: shownText(
    8192,
    'For the parameter `cursor` of the next page; null on the last.',
    'WyJuYW1lIiwiYWRhIl0',
  )
    .regex(/^[A-Za-z0-9_-]+$/)
    .nullable(),
  has_more: z.boolean().meta({ description: 'Whether there is a next page.', examples: [false] }),
});
