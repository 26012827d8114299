import { problems } from '../../../kernel/errors';
import {
  type Facet,
  type Filter,
  INDEX_TABLE,
  type IndexRow,
  isUnique,
  type POINT_INDEXES,
  SCANS_MAX,
  type SortField,
} from './index-table';
import { STATUSES } from './parameters';
import { givenFilters, type ListRequest, orderOf, sortOf } from './request';
import { searchKeyOf } from './search-keys';

type Value = string | number | boolean;

/** The index that serves a request, and the values of the fields before its sort field. */
export interface Choice {
  readonly row: IndexRow;
  readonly index: string;
  /** Undefined: every role that a user has, which only the database knows. */
  readonly facets: readonly (readonly [Facet, readonly Value[] | undefined])[];
}

/** Throws 400 where no index serves the request, with the list of those that are served. */
export function chooseIndex(request: ListRequest): Choice {
  const given = givenFilters(request);
  const { field } = orderOf(sortOf(request));
  const fitting = INDEX_TABLE.filter((row) => row.sort === field && serves(row, given));
  const chosen = fitting
    .map((row) => choiceOf(row, request))
    .find((choice) => scansOf(choice) <= SCANS_MAX);
  if (chosen !== undefined && (request.filters.metadata?.length ?? 0) <= 1) return chosen;
  throw refusal(request, given, fitting.length > 0);
}

export type Point = keyof typeof POINT_INDEXES;

/** The filter that finds single users, if there is one. Throws 400 for two ways at once. */
export function choosePoint(request: ListRequest): Point | undefined {
  const { ids, email, external_id: externalId } = request.points;
  if (ids !== undefined) {
    const isAlone =
      email === undefined &&
      externalId === undefined &&
      request.sort === undefined &&
      givenFilters(request).length === 0;
    if (!isAlone) throw notSupported('ids stands alone: without other filters and sort.');
    return 'ids';
  }
  if (email !== undefined) return 'email';
  return externalId === undefined ? undefined : 'external_id';
}

const serves = ({ requires, accepts }: IndexRow, given: readonly Filter[]): boolean =>
  requires.every((one) => given.includes(one)) &&
  given.every((one) => requires.includes(one) || accepts.includes(one));

function choiceOf(row: IndexRow, { filters }: ListRequest): Choice {
  const [metadata] = filters.metadata ?? [];
  const valuesOf: Readonly<Record<Facet, readonly Value[] | undefined>> = {
    search: [searchKeyOf(filters.q ?? '')],
    metadata: metadata?.values,
    role: filters.role,
    status: filters.status === undefined ? STATUSES : [filters.status],
    email_verified: filters.email_verified === undefined ? [false, true] : [filters.email_verified],
  };
  return {
    row,
    index: row.index ?? metadata?.index ?? '',
    facets: row.facets.map((facet) => [facet, valuesOf[facet]] as const),
  };
}

/** With a cursor: one scan of the rows that are equal to its row, one of those beyond. */
const scansOf = ({ row, facets }: Choice): number =>
  facets.reduce(
    (product, [, values]) => product * (values?.length ?? 1),
    isUnique(row.sort) ? 1 : 2,
  );

/** One kind of request that the list serves, for programs. */
export interface Served {
  readonly sort: SortField;
  readonly requires: readonly string[];
  readonly accepts: readonly string[];
  /** With all filters of the line; undefined where `role` is not among them. */
  readonly roles_max?: number;
}

const PARAMETERS: Readonly<Partial<Record<Filter, readonly string[]>>> = {
  created: ['created_from', 'created_to'],
  last_login: ['last_login_from or last_login_to'],
  q_email: ['q with @'],
  metadata: ['one indexed member of metadata'],
};
const named = (filters: readonly Filter[]): string[] =>
  filters.flatMap((one) => PARAMETERS[one] ?? [one]);

/** Everything that the list serves, from the table. */
export const SERVED: readonly Served[] = INDEX_TABLE.map((row) => ({
  sort: row.sort,
  requires: named(row.requires),
  accepts: named(row.accepts),
  ...(row.facets.includes('role') ? { roles_max: rolesMax(row) } : {}),
}));

/** Where the other facets have all values. */
function rolesMax({ sort, facets }: IndexRow): number {
  const others = facets.filter((one) => one === 'status' || one === 'email_verified').length;
  return Math.floor(SCANS_MAX / (2 ** others * (isUnique(sort) ? 1 : 2)));
}

const textOf = ({ sort, requires, accepts }: Served): string =>
  `${sort}: ${[...requires.map((one) => `${one} (required)`), ...accepts].join(', ')}`;

function refusal(request: ListRequest, given: readonly Filter[], isRolesFault: boolean) {
  if (isRolesFault && (request.filters.metadata?.length ?? 0) <= 1)
    return notSupported('Too many roles for this order and these filters.');
  const sort = sortOf(request);
  const sorts = [
    ...new Set(INDEX_TABLE.filter((row) => serves(row, given)).map((row) => row.sort)),
  ];
  if (sorts.length === 0 || sorts.includes(orderOf(sort).field))
    return notSupported('No index serves this combination of filters.');
  const allowed = sorts.flatMap((one) => [one, `-${one}`]);
  return problems.malformed(
    'sort_not_supported',
    `With these filters the list can be sorted by ${allowed.join(', ')}.`,
    {
      errors: [
        {
          pointer: 'sort',
          code: 'sort_not_supported',
          message: `must be one of ${allowed.join(', ')}`,
          params: { allowed },
        },
      ],
      extensions: { supported: SERVED },
    },
  );
}

const notSupported = (fault: string) =>
  problems.malformed(
    'filters_not_supported',
    `${fault} Supported, by sort: ${SERVED.map(textOf).join('; ')}.`,
    { extensions: { supported: SERVED } },
  );
