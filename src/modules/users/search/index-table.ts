import type { mongo } from 'mongoose';

/**
 * Names are sorted by ICU's root order (CLDR), which MongoDB calls `en`: accents decide between
 * equal letters, case does not. Fixed, because the indexes are built with it.
 */
export const NAME_COLLATION = { locale: 'en', strength: 2 } as const;

const SORT_FIELDS = ['created_at', 'name', 'email', 'last_login_at'] as const;
export type SortField = (typeof SORT_FIELDS)[number];

/** `created` and `last_login` are ranges; `q_email` is a `q` with an @. */
export type Filter =
  | 'role'
  | 'status'
  | 'email_verified'
  | 'created'
  | 'last_login'
  | 'metadata'
  | 'q'
  | 'q_email';

/** A field that an index has before the sort field. */
export type Facet = 'search' | 'metadata' | 'role' | 'status' | 'email_verified';

/** The requests that one index serves: these filters, in its order. */
export interface IndexRow {
  /** Undefined: the index of the metadata member that is asked for. */
  readonly index: string | undefined;
  readonly sort: SortField;
  /** Each needs one value for a scan; a filter that is not given stands for all values. */
  readonly facets: readonly Facet[];
  readonly requires: readonly Filter[];
  readonly accepts: readonly Filter[];
}

const STATE = ['status', 'email_verified'] as const;

/**
 * The only source of the requests that the list answers, of its indexes, of the answer to other
 * combinations, and of the table in docs/integrate.md. The first row that fits is used.
 */
export const INDEX_TABLE: readonly IndexRow[] = [
  row('by_created', 'created_at', [], [], ['created']),
  row('by_state_created', 'created_at', STATE, [], [...STATE, 'created']),
  row('by_role_created', 'created_at', ['role'], ['role'], ['created']),
  row('by_role_state_created', 'created_at', ['role', ...STATE], ['role'], [...STATE, 'created']),
  row(undefined, 'created_at', ['metadata'], ['metadata'], ['created']),
  row('by_state_name', 'name', STATE, [], STATE),
  row('by_role_state_name', 'name', ['role', ...STATE], ['role'], STATE),
  row('by_search', 'name', ['search', 'role'], ['q'], ['role']),
  row('email_unique', 'email', [], [], ['q_email']),
  row('by_state_email', 'email', STATE, [], [...STATE, 'q_email']),
  row('by_role_state_email', 'email', ['role', ...STATE], ['role'], [...STATE, 'q_email']),
  row('by_state_login', 'last_login_at', STATE, ['last_login'], STATE),
];

/** Filters that find one user, or a few by id: all others may stand beside the first two. */
export const POINT_INDEXES = {
  email: 'email_unique',
  external_id: 'external_id_unique',
  ids: '_id_',
} as const;

/**
 * The most scans that one page merges. Of each a page reads at most one entry that it does not
 * show, so a page of two rows still reads at most twice as many, and ten.
 */
export const SCANS_MAX = 12;

export const SORT_KEYS = {
  created_at: 'createdAt',
  name: 'nameKey',
  email: 'emailKey',
  last_login_at: 'lastLoginAt',
} as const;

export const FACET_KEYS = {
  search: 'searchKeys',
  role: 'role',
  status: 'status',
  email_verified: 'emailVerified',
} as const;

/** Addresses are unique; of other equal keys the id decides. */
export const isUnique = (sort: SortField): boolean => sort === 'email';

/** The indexes of the table, but for those that users have for other reasons. */
export const listIndexes: readonly mongo.IndexDescription[] = INDEX_TABLE.flatMap(
  ({ index, sort, facets }): mongo.IndexDescription[] => {
    if (index === undefined || index === POINT_INDEXES.email) return [];
    const keys = facets.map((facet) => (facet === 'metadata' ? '' : FACET_KEYS[facet]));
    const order = isUnique(sort) ? [SORT_KEYS[sort]] : [SORT_KEYS[sort], '_id'];
    return [
      {
        key: Object.fromEntries([...keys, ...order].map((key) => [key, 1])),
        name: index,
        ...(sort === 'name' ? { collation: NAME_COLLATION } : {}),
        ...(sort === 'last_login_at'
          ? { partialFilterExpression: { [SORT_KEYS[sort]]: { $exists: true } } }
          : {}),
      },
    ];
  },
);

function row(
  index: string | undefined,
  sort: SortField,
  facets: readonly Facet[],
  requires: readonly Filter[],
  accepts: readonly Filter[],
): IndexRow {
  return { index, sort, facets, requires, accepts };
}
