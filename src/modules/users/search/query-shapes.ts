import type { QueryShape } from '../../../platform/mongo/explain';
import type { UserModel } from '../model';
import { type Filter, INDEX_TABLE } from './index-table';
import { LIMIT } from './parameters';
import { isServed, planOf } from './query';
import type { ListRequest } from './request';

type Filters = ListRequest['filters'];

/** The values with which the combinations of the table are asked for. */
export interface Samples {
  readonly filters: { readonly [F in Filter]: readonly Filters[F][] };
  readonly points: readonly ListRequest['points'][];
}

/** Every combination that the list serves: filters, with each of their values, and direction. */
export function servedRequests({ filters, points }: Samples): ListRequest[] {
  const base = { limit: LIMIT, cursor: undefined, fields: undefined, isCounted: false } as const;
  const scans = INDEX_TABLE.flatMap(({ sort, requires, accepts }) =>
    combinations(requires, accepts)
      .flatMap((given) => valued(given, filters))
      .flatMap((some) =>
        ([sort, `-${sort}`] as const).map(
          (order): ListRequest => ({ ...base, sort: order, filters: some, points: {} }),
        ),
      ),
  );
  const single = points.map(
    (point): ListRequest => ({ ...base, sort: undefined, filters: {}, points: point }),
  );
  const unique = new Map([...scans, ...single].map((one) => [JSON.stringify(one), one]));
  return [...unique.values()].filter(isServed);
}

const valued = (given: readonly Filter[], values: Samples['filters']): Filters[] =>
  given.reduce<Filters[]>(
    (all, name) => all.flatMap((one) => values[name].map((value) => ({ ...one, [name]: value }))),
    [{}],
  );

/** The required filters with each subset of the others. */
const combinations = (requires: readonly Filter[], accepts: readonly Filter[]): Filter[][] =>
  Array.from({ length: 2 ** accepts.length }, (_, bits) =>
    requires.concat(accepts.filter((_, i) => (bits >> i) % 2 === 1)),
  );

const SOME_ID = '652f1c3e9b1d4a0012ab34cd';
const SOME: Samples = {
  filters: {
    role: [['admin'], ['admin', 'support', 'user']],
    status: ['active'],
    email_verified: [true],
    created: [{ from: 1_600_000_000_000, to: 1_700_000_000_000 }],
    last_login: [{ from: 1_600_000_000_000, to: undefined }],
    metadata: [],
    q: ['ad'],
    q_email: ['ad@'],
  },
  points: [{ email: 'ada@example.org' }, { external_id: 'crm-1' }, { ids: [SOME_ID] }],
};
const SOME_ROLES = ['admin', 'support', 'user'];

/** The queries of the list with one value for each filter: the first page, and one after a row. */
export function listShapes(users: UserModel, options: { timeoutMs: number }): QueryShape[] {
  const bounded = { maxTimeMS: options.timeoutMs };
  return servedRequests(SOME).flatMap((request) => {
    const plan = planOf(request);
    const isText = plan.field === 'name' || plan.field === 'email';
    const value = isText ? 'm' : 1_650_000_000_000;
    const after = { side: 'after', isInclusive: false, value, id: SOME_ID } as const;
    return (plan.field === 'id' ? [undefined] : [undefined, after]).map((position): QueryShape => {
      const { filter, ...find } = plan.find(position, SOME_ROLES);
      const given = JSON.stringify({ ...request.filters, ...request.points });
      return {
        name: `list ${request.sort ?? ''} ${given}${position === undefined ? '' : ' after a cursor'}`,
        explain: () =>
          users.collection
            .find(filter, { ...bounded, ...find, limit: request.limit + 1 })
            .explain('queryPlanner'),
      };
    });
  });
}
