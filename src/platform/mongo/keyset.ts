import { Types } from 'mongoose';

/** The last row of a page: the next page starts after it. */
export interface KeysetPosition {
  /** Its value of the sort field. */
  readonly value: string | number;
  /** Its `_id`, 24 hexadecimal digits. */
  readonly id: string;
}

/** The cursor contains the sort order (`-` is descending), so it is invalid for another order. */
export const encodeCursor = (order: string, { value, id }: KeysetPosition): string =>
  Buffer.from(JSON.stringify([order, value, id])).toString('base64url');

/** undefined: not a cursor of this order. `kind`: the type of the sort field; `time` in ms. */
export function decodeCursor(
  cursor: string,
  order: string,
  kind: 'string' | 'time',
): KeysetPosition | undefined {
  const content = parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  if (!Array.isArray(content) || content.length !== 3) return undefined;
  const [of, value, id] = content as unknown[];
  if (of !== order || typeof id !== 'string' || !/^[0-9a-f]{24}$/.test(id)) return undefined;
  if (kind === 'string') return typeof value === 'string' ? { value, id } : undefined;
  const isTime = Number.isSafeInteger(value) && !Number.isNaN(new Date(value as number).getTime());
  return isTime ? { value: value as number, id } : undefined;
}

/** A filter for the rows after a position, as one range of the index over (field, _id). */
export function rowsAfter(
  field: string,
  direction: 1 | -1,
  { value, id }: { readonly value: string | Date; readonly id: string },
): Record<string, unknown>[] {
  const [from, beyond] = direction === 1 ? (['$gte', '$gt'] as const) : (['$lte', '$lt'] as const);
  return [
    { [field]: { [from]: value } },
    { $or: [{ [field]: { [beyond]: value } }, { _id: { [beyond]: new Types.ObjectId(id) } }] },
  ];
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
