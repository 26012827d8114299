import type { mongo } from 'mongoose';
import { indexedMetadata } from '../../../../src/modules/users/metadata/indexed';
import { createUserModel, type UserModel, userIndexes } from '../../../../src/modules/users/model';
import { chooseIndex } from '../../../../src/modules/users/search/choose';
import type { Position } from '../../../../src/modules/users/search/cursor';
import { INDEX_TABLE, SCANS_MAX } from '../../../../src/modules/users/search/index-table';
import { positionAt, type Row } from '../../../../src/modules/users/search/page';
import { type ListQuery, planOf } from '../../../../src/modules/users/search/query';
import { type Samples, servedRequests } from '../../../../src/modules/users/search/query-shapes';
import type { ListRequest } from '../../../../src/modules/users/search/request';
import { planOf as planIn } from '../../../../src/platform/mongo/explain';
import { type ManyUsers, someUser, startManyUsers } from '../../../support/many-users';

const USERS = 100_000;
const DAY_MS = 86_400_000;
const day = (n: number) => Date.UTC(2020, 0, 1) + n * DAY_MS;

const [PLAN] = indexedMetadata({
  metadata: {
    indexed: [{ member: 'app_metadata', keys: ['plan'], text: 'app_metadata.plan' }],
  },
});
if (PLAN === undefined) throw new Error('no index of the member');
const planIs = (...values: (string | number)[]) => [
  { field: PLAN.field, index: PLAN.index.name, values },
];

const SAMPLES: Samples = {
  filters: {
    role: [['user'], ['admin', 'support', 'user'], ['a', 'b', 'c', 'd', 'admin', 'user']],
    status: ['active', 'banned'],
    email_verified: [true, false],
    created: [
      { from: day(10), to: day(60) },
      { from: undefined, to: day(27.8) },
      { from: day(27.8), to: undefined },
    ],
    last_login: [
      { from: day(3), to: undefined },
      { from: day(100), to: day(130) },
    ],
    metadata: [planIs('pro'), planIs('5', 5), planIs('none')],
    q: ['a', 'ada', 'garcia', 'maria garcia', 'jose.1000', 'nobody'],
    q_email: ['ada.1@', 'maria.77777@example.org'],
  },
  points: [
    { email: 'nobody@example.org' },
    { email: someUser(4711).emailKey },
    { external_id: 'crm-4710' },
    { ids: Array.from({ length: 100 }, (_, n) => someUser(n * 7)._id.toHexString()).sort() },
  ],
};

let database: ManyUsers;
let users: UserModel;
let roles: string[];
beforeAll(async () => {
  database = await startManyUsers(USERS, [PLAN.index]);
  users = createUserModel(database.connection);
  roles = await users.collection.distinct('role');
}, 240_000);
afterAll(() => database?.close());

/** The fault of one query, if it has one. */
async function faultOf({ filter, ...options }: ListQuery, limit: number) {
  const explained = await users.collection
    .find(filter, { ...options, limit })
    .explain('executionStats');
  return faultIn(explained, explained['executionStats'] as mongo.Document);
}

function faultIn(
  explained: mongo.Document,
  stats: mongo.Document,
  beside = 10,
): string | undefined {
  const { text, fault } = planIn(explained);
  if (fault !== undefined) return `${fault}: ${text}`;
  const { nReturned, totalKeysExamined, totalDocsExamined } = stats as Record<string, number>;
  const most = 2 * (nReturned ?? 0) + beside;
  return (totalKeysExamined ?? Number.NaN) <= most && (totalDocsExamined ?? Number.NaN) <= most
    ? undefined
    : `${totalKeysExamined} keys and ${totalDocsExamined} documents for ${nReturned}: ${text}`;
}

const nameOf = ({ sort, filters, points }: ListRequest) =>
  `${sort} ${JSON.stringify({ ...filters, ...points }).slice(0, 200)}`;

/** A row in the midst of a request's first pages. */
async function middleOf(request: ListRequest): Promise<Position | undefined> {
  const plan = planOf(request);
  const { filter, ...options } = plan.find(undefined, roles);
  const rows = await users.collection.find<Row>(filter, { ...options, limit: 60 }).toArray();
  const row = rows[Math.floor(rows.length / 2)];
  return row === undefined ? undefined : positionAt(row, plan.field);
}

test(`every combination reads one index in its order, and no more than it shows, of ${USERS} users`, async () => {
  const requests = servedRequests(SAMPLES);
  const rows = new Set(
    requests.map((one) => (JSON.stringify(one.points) === '{}' ? chooseIndex(one).index : 'point')),
  );
  expect(rows.size).toBe(INDEX_TABLE.length + 1);
  expect(requests.length).toBeGreaterThan(500);
  const faults: string[] = [];
  let queries = 0;
  for (const request of requests) {
    const plan = planOf(request);
    const middle = await middleOf(request);
    const pages: [Position | undefined, number][] = [[undefined, 21]];
    // Small pages too: what is read beside the rows must not depend on how many there are.
    if (middle !== undefined)
      pages.push([middle, 2], [{ ...middle, side: 'before', isInclusive: true }, 2]);
    for (const [place, limit] of pages) {
      queries += 1;
      const fault = await faultOf(plan.find(place, roles), limit);
      if (fault !== undefined)
        faults.push(`${nameOf(request)} ${place?.side ?? 'first'} ${limit}: ${fault}`);
    }
  }
  expect(faults).toEqual([]);
  expect(queries).toBeGreaterThan(1200);
}, 120_000);

test('a count reads one entry of the index for each user that it counts, and at most two for each scan', async () => {
  const faults: string[] = [];
  const { collection } = userIndexes;
  for (const request of servedRequests(SAMPLES)) {
    if (request.sort?.startsWith('-') === true) continue;
    const { filter, ...options } = planOf(request).count;
    const pipeline = [{ $match: filter }, { $limit: 300 }, { $group: { _id: 1, n: { $sum: 1 } } }];
    const explained = await database.connection.db?.command({
      explain: { aggregate: collection, pipeline, cursor: {}, ...options },
      verbosity: 'executionStats',
    });
    const cursor =
      (explained?.['stages'] as mongo.Document[] | undefined)?.[0]?.['$cursor'] ?? explained;
    const fault = faultIn(cursor, cursor['executionStats'], 2 * SCANS_MAX);
    if (fault !== undefined) faults.push(`${nameOf(request)}: ${fault}`);
  }
  expect(faults).toEqual([]);
});

test('the check sees a condition that is not in the index, and a sort in memory', async () => {
  const hint = 'by_created';
  const banned = { filter: { status: 'banned' }, sort: { createdAt: 1, _id: 1 } as const, hint };
  expect(await faultOf(banned, 21)).toMatch(/^\d+ keys/);
  expect(await faultOf({ filter: {}, sort: { nameKey: 1 }, hint }, 21)).toMatch(/sort in memory/);
});
