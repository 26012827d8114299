import { Types } from 'mongoose';
import { z } from 'zod';
import type { Cache, Region } from '../cache/port';
import { problems } from '../errors';
import { characters } from '../http/validation';
import { LIST_GROUP } from './cached';
import { foldEmail, foldName, type UserModel } from './model';
import { ROLES } from './roles';
import { emailSchema } from './schemas';
import { VIEW_PROJECTION, type ViewedFields, viewOf } from './view';

const SORTS = ['createdAt', '-createdAt', 'name', '-name', 'email', '-email'] as const;
type Sort = (typeof SORTS)[number];

const COUNT_CAP = 10_000;

export const listParameters = z.strictObject({
  limit: z
    .string()
    .regex(/^([1-9]|[1-9]\d|100)$/, 'must be a whole number from 1 to 100')
    .transform(Number)
    .optional()
    .meta({ description: 'Users per page, 1 to 100; 20 unless said.' }),
  cursor: z
    .string()
    .max(1024)
    .regex(/^[A-Za-z0-9_-]+$/, 'must be a next_cursor of an earlier answer')
    .optional()
    .meta({ description: '`next_cursor` of the page before.' }),
  sort: z.enum(SORTS).optional().meta({ description: 'Order; `-` is descending. `-createdAt` unless said; with `q`, the searched field.' }),
  role: z.enum(ROLES).optional(),
  email: emailSchema.optional(),
  q: characters(1, 100).optional().meta({ description: 'Start of the name or, when it holds an @, of the e-mail address.' }),
  count: z
    .enum(['true', 'false'])
    .optional()
    .meta({ description: `true adds total, counted up to ${COUNT_CAP}.` }),
});

export type ListParameters = z.output<typeof listParameters>;

export interface Page {
  /** JSON `{data, next_cursor, has_more, total?, total_capped?}`. */
  readonly body: Buffer;
  readonly nextCursor: string | null;
}

const FIELD = { createdAt: 'createdAt', name: 'nameKey', email: 'emailKey' } as const;
const INDEX = { createdAt: 'by_created', name: 'by_name', email: 'by_email' } as const;
const ROLE_INDEX = { createdAt: 'by_role_created', name: 'by_role_name', email: 'by_role_email' } as const;

type Order = keyof typeof FIELD;
type Key = string | number;

export interface ListQuery {
  readonly filter: Record<string, unknown>;
  readonly sort: Record<string, 1 | -1>;
  readonly hint: string;
}

/** The query of a page. Every shape that this can give is served by one index, in its order (`npm run explain`). */
export function listQuery(parameters: ListParameters): { query: ListQuery; sort: Sort } {
  const { q, role, email, cursor } = parameters;
  const sort = sortOf(parameters);
  const order = sort.replace('-', '') as Order;
  const direction = sort.startsWith('-') ? -1 : 1;
  const field = FIELD[order];
  const conditions: Record<string, unknown>[] = [];
  if (role !== undefined) conditions.push({ role });
  if (q !== undefined) {
    const prefix = order === 'email' ? foldEmail(q) : foldName(q);
    // MongoDB compares strings by their UTF-8 bytes; nothing sorts after U+10FFFF.
    conditions.push({ [field]: { $gte: prefix, $lt: `${prefix}\u{10ffff}` } });
  }
  if (cursor !== undefined) conditions.push(...after(decodeCursor(cursor, sort), field, direction));
  if (email !== undefined) conditions.push({ emailKey: foldEmail(email) });
  const filter = conditions.length === 0 ? {} : { $and: conditions };
  if (email !== undefined) return { sort, query: { filter, sort: { emailKey: direction }, hint: 'email_unique' } };
  return { sort, query: { filter, sort: { [field]: direction, _id: direction }, hint: (role === undefined ? INDEX : ROLE_INDEX)[order] } };
}

/** A search is answered in the order of the index that finds it; any other order would be a sort in memory. */
function sortOf({ q, sort }: ListParameters): Sort {
  if (q === undefined) return sort ?? '-createdAt';
  const searched = q.includes('@') ? 'email' : 'name';
  if (sort === undefined || sort === searched) return searched;
  if (sort === `-${searched}`) return sort;
  throw problems.malformed('sort_not_supported', `With this q the list can be sorted by ${searched} or -${searched}.`, {
    errors: [{ pointer: 'sort', code: 'sort_not_supported', message: `must be ${searched} or -${searched}` }],
  });
}

/** Keyset: one range of the index, so that page 10,000 costs what page 1 does. */
function after({ value, id }: { value: Key; id: string }, field: string, direction: 1 | -1): Record<string, unknown>[] {
  const [from, beyond] = direction === 1 ? (['$gte', '$gt'] as const) : (['$lte', '$lt'] as const);
  const start = field === 'createdAt' ? new Date(value) : value;
  return [{ [field]: { [from]: start } }, { $or: [{ [field]: { [beyond]: start } }, { _id: { [beyond]: new Types.ObjectId(id) } }] }];
}

const cursorContent = z.tuple([z.enum(SORTS), z.union([z.string(), z.int()]), z.string().regex(/^[0-9a-f]{24}$/)]);

export function encodeCursor(sort: Sort, value: Key, id: string): string {
  return Buffer.from(JSON.stringify([sort, value, id])).toString('base64url');
}

function decodeCursor(cursor: string, sort: Sort): { value: Key; id: string } {
  try {
    const [of, value, id] = cursorContent.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
    const kind = sort.endsWith('createdAt') ? 'number' : 'string';
    const inTime = typeof value !== 'number' || !Number.isNaN(new Date(value).getTime());
    if (of === sort && typeof value === kind && inTime) return { value, id };
  } catch {
    // Falls through: whatever is wrong with it, the answer is the same.
  }
  throw problems.malformed('invalid_cursor', 'The cursor is not one that this service gave for this order.', {
    errors: [{ pointer: 'cursor', code: 'invalid_cursor', message: 'must be a next_cursor of an earlier answer with the same sort' }],
  });
}

type Row = ViewedFields & { nameKey: string; emailKey: string };

export interface UserList {
  page(parameters: ListParameters): Promise<Page>;
}

export function createUserList(users: UserModel, cache: Cache, options: { timeoutMs: number }): UserList {
  const bounded = { maxTimeMS: options.timeoutMs };

  async function load(parameters: ListParameters): Promise<Page> {
    const limit = parameters.limit ?? 20;
    const { query, sort } = listQuery(parameters);
    const rows = await users.collection
      .find<Row>(query.filter, {
        ...bounded,
        sort: query.sort,
        hint: query.hint,
        limit: limit + 1,
        projection: { ...VIEW_PROJECTION, nameKey: 1, emailKey: 1 },
      })
      .toArray();
    const shown = rows.slice(0, limit);
    const last = rows.length > limit ? shown.at(-1) : undefined;
    const nextCursor = last === undefined ? null : encodeCursor(sort, keyOf(last, sort), last._id.toHexString());
    const total = parameters.count === 'true' ? await count(parameters) : {};
    return {
      body: Buffer.from(JSON.stringify({ data: shown.map(viewOf), next_cursor: nextCursor, has_more: last !== undefined, ...total })),
      nextCursor,
    };
  }

  async function count({ cursor: _, ...parameters }: ListParameters): Promise<{ total: number; total_capped: boolean }> {
    const { query } = listQuery(parameters);
    const found = await users.collection.countDocuments(query.filter, { ...bounded, hint: query.hint, limit: COUNT_CAP + 1 });
    return { total: Math.min(found, COUNT_CAP), total_capped: found > COUNT_CAP };
  }

  const pages: Region<Page> = cache.region<Page>({
    name: 'list.v1',
    group: () => LIST_GROUP,
    load: (key) => load(JSON.parse(key) as ListParameters),
    encode: ({ body, nextCursor }) => Buffer.concat([Buffer.from(`${nextCursor ?? ''}\n`), body]),
    decode: (bytes) => {
      const end = bytes.indexOf(10);
      if (end < 0) throw new Error('a cached page without a cursor line');
      return { nextCursor: end === 0 ? null : bytes.toString('latin1', 0, end), body: bytes.subarray(end + 1) };
    },
  });

  return {
    async page(parameters) {
      listQuery(parameters); // A bad cursor or sort is the caller's fault: found before the cache is asked.
      const { limit, cursor, sort, role, email, q, count: counted } = parameters;
      const page = await pages.get(JSON.stringify({ limit, cursor, sort, role, email, q, count: counted }));
      if (page === null) throw new Error('a page of the list is never absent');
      return page;
    },
  };
}

function keyOf(row: Row, sort: Sort): Key {
  if (sort.endsWith('name')) return row.nameKey;
  return sort.endsWith('email') ? row.emailKey : row.createdAt.getTime();
}
