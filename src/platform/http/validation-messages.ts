import type { z } from 'zod';
import { type FieldCode, fieldCodes } from '../../kernel/problem-codes';

type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;
type Params = Record<string, string | number | readonly string[]>;

export function codeOf(issue: Issue): FieldCode {
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
    case 'invalid_union':
      if (issue.discriminator === undefined) return 'invalid';
      return issue.message === REQUIRED ? 'required' : 'not_allowed';
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
export function boundOf(word: 'least' | 'most', origin: string, limit: number): string {
  if (origin === 'string') return `must have at ${word} ${countOf(limit, 'character')}`;
  return origin === 'array' || origin === 'set' || origin === 'object'
    ? `must have at ${word} ${countOf(limit, origin === 'object' ? 'member' : 'item')}`
    : `must be at ${word} ${limit}`;
}

const NO_FORM = 'does not have the right form';

/** Of the member that tells the forms of a body apart: which values there are. */
function messageOfUnion({ discriminator, options, input }: RawIssue): string {
  if (discriminator === undefined || !Array.isArray(options)) return NO_FORM;
  const given = (input as Record<string, unknown> | undefined)?.[String(discriminator)];
  return given === undefined ? REQUIRED : `must be one of ${options.join(', ')}`;
}

/** The default messages. They never contain the input, which may be a password. */
export function messageOf(issue: RawIssue): string {
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
    case 'invalid_union':
      return messageOfUnion(issue);
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    default:
      return NO_FORM;
  }
}

/** The numbers and names in the message, for clients with messages of their own. */
export function paramsOf(issue: Issue): Params | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.message === REQUIRED ? undefined : { expected: issue.expected };
    case 'too_small':
      return { min: Number(issue.minimum) };
    case 'too_big':
      return { max: Number(issue.maximum) };
    case 'invalid_value':
      return { allowed: issue.values.map(String) };
    case 'invalid_union':
      return codeOf(issue) !== 'not_allowed' ||
        issue.inclusive === false ||
        issue.options === undefined
        ? undefined
        : { allowed: issue.options.map(String) };
    case 'custom': {
      const { code: _, ...params } = (issue.params ?? {}) as Params;
      return Object.keys(params).length === 0 ? undefined : params;
    }
    default:
      return undefined;
  }
}
