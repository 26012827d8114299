import { Types } from 'mongoose';
import { Problem } from '../../../kernel/errors';
import { type Choice, chooseIndex, choosePoint, type Point } from './choose';
import type { Position } from './cursor';
import {
  FACET_KEYS,
  isUnique,
  NAME_COLLATION,
  POINT_INDEXES,
  SORT_KEYS,
  type SortField,
} from './index-table';
import { type ListRequest, orderOf, type Range, sortOf } from './request';
import { beyondKey, searchKeyOf } from './search-keys';

type Condition = Record<string, unknown>;

/** The query of one page, as MongoDB gets it. */
export interface ListQuery {
  readonly filter: Condition;
  /** Undefined where at most one user is found. */
  readonly sort?: Record<string, 1 | -1>;
  readonly hint: string;
  readonly collation?: typeof NAME_COLLATION;
}

export interface ListPlan {
  /** The field of the page's order. `id` with `ids`, and where at most one user is found. */
  readonly field: SortField | 'id';
  /** The page needs the roles that users have. */
  readonly needsRoles: boolean;
  /** The query of a page; `roles` where the plan needs them. */
  find(position?: Position, roles?: readonly string[]): ListQuery;
  /** The query that counts. */
  readonly count: Omit<ListQuery, 'sort'>;
}

/** How a request is answered: always by ranges of one index, in its order. Throws 400. */
export function planOf(request: ListRequest): ListPlan {
  const point = choosePoint(request);
  return point === undefined ? scanPlan(request, chooseIndex(request)) : pointPlan(request, point);
}

/** Whether an index serves the request. */
export function isServed(request: ListRequest): boolean {
  try {
    planOf(request);
    return true;
  } catch (error) {
    if (error instanceof Problem) return false;
    throw error;
  }
}

function scanPlan(request: ListRequest, choice: Choice): ListPlan {
  const { field, direction } = orderOf(sortOf(request));
  const { row, index } = choice;
  const key = SORT_KEYS[field];
  const range = boundsOf(request, field);
  const options = { hint: index, ...(field === 'name' ? { collation: NAME_COLLATION } : {}) };
  return {
    field,
    needsRoles: choice.facets.some(([, values]) => values === undefined),
    find(position, roles = []) {
      const way = position?.side === 'before' ? reversed(direction) : direction;
      const ranges =
        position === undefined
          ? [range === undefined ? {} : { [key]: range }]
          : beyond(field, way, position, range ?? {});
      const branches = facetValues(request, choice, roles).flatMap((facets) =>
        ranges.map((one) => ({ ...facets, ...one })),
      );
      return {
        ...options,
        filter: anyOf(branches),
        sort: isUnique(row.sort) ? { [key]: way } : { [key]: way, _id: way },
      };
    },
    count: {
      ...options,
      filter: {
        ...Object.fromEntries(
          choice.facets.flatMap(([facet, values]) =>
            values === undefined ? [] : [[fieldOf(request, facet), { $in: values }]],
          ),
        ),
        ...(range === undefined ? {} : { [key]: range }),
        ...beyondKey(request.filters.q ?? ''),
      },
    },
  };
}

function anyOf(branches: readonly Condition[]): Condition {
  const [first] = branches;
  // No branch: there is no role in use, and so no user.
  if (first === undefined) return { role: { $in: [] } };
  return branches.length === 1 ? first : { $or: branches };
}

/** One condition for each combination of values: MongoDB merges their scans in order. */
function facetValues(
  request: ListRequest,
  { facets }: Choice,
  roles: readonly string[],
): Condition[] {
  return facets.reduce<Condition[]>(
    (all, [facet, values = roles]) =>
      all.flatMap((one) => values.map((value) => ({ ...one, [fieldOf(request, facet)]: value }))),
    [beyondKey(request.filters.q ?? '') ?? {}],
  );
}

const fieldOf = ({ filters }: ListRequest, facet: Choice['facets'][number][0]): string =>
  facet === 'metadata' ? (filters.metadata?.[0]?.field ?? '') : FACET_KEYS[facet];

/**
 * The rows on one side of a position, as ranges of the index: those that are equal in the sort
 * field, from the id on, and those beyond. One range with a condition on the id would read all
 * equal rows before the position.
 */
function beyond(
  field: SortField,
  way: 1 | -1,
  { value, id, isInclusive }: Position,
  range: Condition,
): Condition[] {
  const key = SORT_KEYS[field];
  const at = isTime(field) ? new Date(value) : value;
  const [strict, inclusive, kept] =
    way === 1 ? (['$gt', '$gte', '$lt'] as const) : (['$lt', '$lte', '$gte'] as const);
  const limit = range[kept] === undefined ? {} : { [kept]: range[kept] };
  if (isUnique(field)) return [{ [key]: { [isInclusive ? inclusive : strict]: at, ...limit } }];
  return [
    { [key]: at, _id: { [isInclusive ? inclusive : strict]: new Types.ObjectId(id) } },
    { [key]: { [strict]: at, ...limit } },
  ];
}

/** The range of the sort field that the filters give, `$gte` and `$lt`. */
function boundsOf({ filters }: ListRequest, field: SortField): Condition | undefined {
  if (field === 'created_at') return timesOf(filters.created);
  if (field === 'last_login_at') return timesOf(filters.last_login);
  const start = filters.q_email;
  if (field !== 'email' || start === undefined) return undefined;
  // MongoDB compares strings by their UTF-8 bytes; nothing sorts after U+10FFFF.
  return { $gte: start, $lt: `${start}\u{10ffff}` };
}

const timesOf = (range: Range | undefined): Condition | undefined =>
  range === undefined
    ? undefined
    : {
        ...(range.from === undefined ? {} : { $gte: new Date(range.from) }),
        ...(range.to === undefined ? {} : { $lt: new Date(range.to) }),
      };

/** At most one document is read, or one for each id: the other filters may be conditions on it. */
function pointPlan(request: ListRequest, point: Point): ListPlan {
  const { ids = [], email, external_id: externalId } = request.points;
  const filterOf = (some: readonly string[]): Condition =>
    point === 'ids'
      ? { _id: { $in: some.map((id) => new Types.ObjectId(id)) } }
      : {
          ...(email === undefined ? {} : { emailKey: email }),
          ...(externalId === undefined ? {} : { externalId }),
          ...conditionsOf(request),
        };
  const hint = POINT_INDEXES[point];
  return {
    field: 'id',
    needsRoles: false,
    find(position) {
      if (point !== 'ids') return { filter: filterOf([]), hint };
      const some = ids.filter((id) => position === undefined || isOnSide(id, position));
      return { filter: filterOf(some), sort: { _id: position?.side === 'before' ? -1 : 1 }, hint };
    },
    count: { filter: filterOf(ids), hint },
  };
}

const isOnSide = (id: string, position: Position): boolean =>
  id === position.id
    ? position.isInclusive
    : position.side === 'after'
      ? id > position.id
      : id < position.id;

function conditionsOf({ filters }: ListRequest): Condition {
  const { role, status, email_verified: isVerified, metadata = [], q, q_email: start } = filters;
  const created = timesOf(filters.created);
  const login = timesOf(filters.last_login);
  const all: Condition[] = [
    ...(role === undefined ? [] : [{ role: { $in: role } }]),
    ...(status === undefined ? [] : [{ status }]),
    ...(isVerified === undefined ? [] : [{ emailVerified: isVerified }]),
    ...(created === undefined ? [] : [{ createdAt: created }]),
    ...(login === undefined ? [] : [{ lastLoginAt: login }]),
    ...metadata.map(({ field, values }) => ({ [field]: { $in: values } })),
    ...(q === undefined ? [] : [{ searchKeys: searchKeyOf(q), ...beyondKey(q) }]),
    ...(start === undefined ? [] : [{ emailKey: { $gte: start, $lt: `${start}\u{10ffff}` } }]),
  ];
  return all.length === 0 ? {} : { $and: all };
}

const isTime = (field: SortField): boolean => field === 'created_at' || field === 'last_login_at';
const reversed = (direction: 1 | -1): 1 | -1 => (direction === 1 ? -1 : 1);
