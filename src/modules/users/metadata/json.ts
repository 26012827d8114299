import { z } from 'zod';
import { REFUSED_KEYS } from '../../../kernel/metadata-keys';
import type { FieldCode } from '../../../kernel/problem-codes';
import type { JsonObject } from '../model';

/** Of each kind of metadata, as UTF-8 of its JSON. */
export const METADATA_MAX_BYTES = 8192;
/** Levels of objects and arrays, the metadata itself being the first. */
const MAX_DEPTH = 8;
const KEY_MAX_CHARS = 128;
const MAX_FAULTS = 10;
/** Of a pointer in a fault; longer ones are cut. */
const MAX_POINTER_CHARS = 400;
type Path = readonly string[];

interface Fault {
  readonly path: Path;
  readonly code: FieldCode;
  readonly message: string;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** JSON can hold halves of surrogate pairs, which BSON cannot. */
const isText = (text: string): boolean => !/\p{Cs}/u.test(text);

function keyFault(key: string): string | undefined {
  if (key === '' || [...key].length > KEY_MAX_CHARS)
    return `must have 1 to ${KEY_MAX_CHARS} characters`;
  if (key.startsWith('$') || /[.\0]/.test(key))
    return 'must not begin with $, nor contain . or NUL';
  if (REFUSED_KEYS.includes(key)) return `must not be any of ${REFUSED_KEYS.join(', ')}`;
  return isText(key) ? undefined : 'must be Unicode text';
}

type AddFault = (path: Path, code: FieldCode, message: string) => void;

/** The first faults. `JSON.parse` has made the value, so it has no cycles. */
function faultsOf(value: JsonObject): Fault[] {
  const faults: Fault[] = [];
  visit(value, [], (path, code, message) => {
    if (faults.length < MAX_FAULTS) faults.push({ path: shortened(path), code, message });
  });
  return faults;
}

function visit(value: unknown, path: Path, add: AddFault): void {
  if (typeof value === 'object' && value !== null) visitMembers(value, path, add);
  else if (typeof value === 'string' && !isText(value))
    add(path, 'invalid', 'must be Unicode text');
  // JSON.parse reads 1e999 as infinity.
  else if (typeof value === 'number' && !Number.isFinite(value))
    add(path, 'too_big', 'must be a number that a double can hold');
}

function visitMembers(value: object, path: Path, add: AddFault): void {
  if (path.length >= MAX_DEPTH) {
    add(path, 'metadata_too_deep', `must not be nested deeper than ${MAX_DEPTH} levels`);
    return;
  }
  const isArray = Array.isArray(value);
  for (const [key, member] of Object.entries(value)) {
    const message = isArray ? undefined : keyFault(key);
    if (message === undefined) visit(member, [...path, key], add);
    else add([...path, key], 'metadata_key_not_allowed', `has a name that ${message}`);
  }
}

function shortened(path: Path): Path {
  let length = 0;
  const end = path.findIndex((part) => {
    length += part.length;
    return length > MAX_POINTER_CHARS;
  });
  return end < 0 ? path : path.slice(0, end);
}

/** JSON has -0, which is written as 0: a client that sends it back would change the value. */
function withoutMinusZero<T>(value: T): T {
  if (value === 0) return 0 as T;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutMinusZero) as T;
  const members = Object.entries(value).map(([key, one]) => [key, withoutMinusZero(one)]);
  return Object.fromEntries(members) as T;
}

export const bytesOf = (value: JsonObject): number => Buffer.byteLength(JSON.stringify(value));

export const tooLarge = {
  code: 'metadata_too_large',
  message: `must have at most ${METADATA_MAX_BYTES} bytes as JSON`,
  params: { max: METADATA_MAX_BYTES },
} as const;

const NOT_AN_OBJECT = {
  error: 'must be an object',
  params: { code: 'wrong_type', expected: 'object' },
  abort: true,
} as const;

/** For the contract. */
export const objectMeta = (description: string) => ({
  description,
  type: 'object' as const,
  additionalProperties: true,
  examples: [{ plan: 'pro' }],
});

/** A JSON object that can be stored; its size is judged when it has been merged. */
export const metadataPatch = (description: string) =>
  z
    .custom<JsonObject>(isObject, NOT_AN_OBJECT)
    .superRefine((value, context) => {
      for (const { code, message, path } of faultsOf(value))
        context.addIssue({ code: 'custom', path: [...path], message, params: { code } });
    })
    .overwrite(withoutMinusZero)
    .meta(objectMeta(description));

/** A whole one. */
export const metadataValue = (description: string) =>
  metadataPatch(description)
    .superRefine((value, context) => {
      const { code, message, params } = tooLarge;
      if (bytesOf(value) > METADATA_MAX_BYTES)
        context.addIssue({ code: 'custom', message, params: { code, ...params } });
    })
    .meta(objectMeta(description));
