import { foldEmail, foldSearch } from '../../../kernel/fold';
import type { Filter, SortField } from './index-table';
import { LIMIT, type ListParameters, type MetadataFilter, type Sort } from './parameters';

/** Times in ms. */
export interface Range {
  readonly from: number | undefined;
  readonly to: number | undefined;
}

interface Filters {
  readonly role?: readonly string[] | undefined;
  readonly status?: string | undefined;
  readonly email_verified?: boolean | undefined;
  readonly created?: Range | undefined;
  readonly last_login?: Range | undefined;
  /** Of each member of metadata that is asked for, the values that the text may mean. */
  readonly metadata?: readonly MetadataCondition[] | undefined;
  /** Folded. */
  readonly q?: string | undefined;
  /** The start of the folded address. */
  readonly q_email?: string | undefined;
}

interface MetadataCondition {
  readonly field: string;
  readonly index: string;
  readonly values: readonly (string | number | boolean)[];
}

/** Filters that find single users. */
interface Points {
  readonly ids?: readonly string[] | undefined;
  readonly email?: string | undefined;
  readonly external_id?: string | undefined;
}

/** The parameters as the list needs them. JSON, so that it is the key of the cached page too. */
export interface ListRequest {
  readonly limit: number;
  /** Undefined: the order that goes with the filters. */
  readonly sort: Sort | undefined;
  readonly cursor: string | undefined;
  readonly filters: Filters;
  readonly points: Points;
  readonly fields: readonly string[] | undefined;
  readonly isCounted: boolean;
}

export function requestOf(
  parameters: ListParameters,
  metadata: readonly MetadataFilter[],
): ListRequest {
  const { limit, sort, cursor, fields, count, ids, email, external_id, q } = parameters;
  const { role, status, email_verified } = parameters;
  const isAddress = q?.includes('@') === true;
  return {
    limit: limit ?? ids?.length ?? LIMIT,
    ...{ sort, cursor, fields },
    isCounted: count === true,
    points: { ids, email: email === undefined ? undefined : foldEmail(email), external_id },
    filters: {
      ...{ role, status, email_verified },
      created: rangeOf(parameters.created_from, parameters.created_to),
      last_login: rangeOf(parameters.last_login_from, parameters.last_login_to),
      metadata: metadataOf(parameters, metadata),
      ...(q === undefined ? {} : isAddress ? { q_email: foldEmail(q) } : { q: foldSearch(q) }),
    },
  };
}

/** The names of the filters in a request. */
export const givenFilters = ({ filters }: ListRequest): Filter[] =>
  (Object.keys(filters) as Filter[]).filter((name) => filters[name] !== undefined);

/** The order that goes with the filters, where none is asked for. */
export function sortOf({ sort, filters }: ListRequest): Sort {
  if (sort !== undefined) return sort;
  if (filters.q !== undefined) return 'name';
  if (filters.q_email !== undefined) return 'email';
  return filters.last_login === undefined ? '-created_at' : '-last_login_at';
}

export const orderOf = (sort: Sort): { field: SortField; direction: 1 | -1 } => ({
  field: sort.replace('-', '') as SortField,
  direction: sort.startsWith('-') ? -1 : 1,
});

const rangeOf = (from: number | undefined, to: number | undefined): Range | undefined =>
  from === undefined && to === undefined ? undefined : { from, to };

function metadataOf(
  parameters: ListParameters,
  metadata: readonly MetadataFilter[],
): MetadataCondition[] | undefined {
  const given = parameters as Readonly<Record<string, unknown>>;
  const conditions = metadata.flatMap(({ parameter, field, index }): MetadataCondition[] => {
    const text = given[parameter];
    return typeof text === 'string' ? [{ field, index: index.name, values: meanings(text) }] : [];
  });
  return conditions.length === 0 ? undefined : conditions;
}

/** A query has text alone: `5` is the text and the number. */
function meanings(text: string): (string | number | boolean)[] {
  if (text === 'true' || text === 'false') return [text, text === 'true'];
  const isNumber = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text);
  return isNumber && Number.isFinite(Number(text)) ? [text, Number(text)] : [text];
}
