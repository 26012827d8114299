import { Types } from 'mongoose';
import { createUserModel, type UserModel } from '../../../../src/modules/users/model';
import { newDocument } from '../../../../src/modules/users/new-document';
import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, login } from '../../../support/http';

const NAMES = ['Ada', 'ada', 'Adá', 'Bob'];
const MOMENT = Date.UTC(2026, 0, 1);

let service: TestService;
let client: Client;
let token: string;
let users: UserModel;
beforeAll(async () => {
  // Without local entries: what others change meanwhile is written past the service.
  service = await startTestService({ NEAR_CACHE_TTL_MS: '0' });
  client = createClient(service.baseUrl);
  token = await login(client, service.admin.email, service.admin.password);
  users = createUserModel(service.database.connection);
});
afterAll(() => service?.close());

/** Numbers of a seed, so that a failure can be repeated. */
function randomOf(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

let made = 0;
/** Few names, few moments: most users are equal to many in the order. */
function someUser(random: (below: number) => number) {
  made += 1;
  return newDocument(
    {
      id: new Types.ObjectId(
        `${random(2 ** 31)
          .toString(16)
          .padStart(8, '0')}${made.toString(16).padStart(16, '0')}`,
      ).toHexString(),
      name: NAMES[random(NAMES.length)] ?? '',
      email: `p${String(random(1e6)).padStart(6, '0')}.${made}@example.org`,
      passwordHash: 'none',
      role: random(4) === 0 ? 'support' : 'user',
    },
    new Date(MOMENT + random(3)),
  );
}

interface Page {
  data: { id: string }[];
  next_cursor: string | null;
  prev_cursor: string | null;
  has_more: boolean;
}

const FILTERS = ['', 'role=user', 'role=user,support', 'q=ada', 'status=active'];
const SORTS: Record<string, string[]> = { 'q=ada': ['name', '-name'] };
const EVERY_SORT = ['created_at', '-created_at', 'name', '-name', 'email', '-email'];

const isSeen = (filter: string, { role, name }: { role: string; name: string }): boolean =>
  (filter !== 'role=user' || role === 'user') && (filter !== 'q=ada' || name !== 'Bob');

const cases = FILTERS.flatMap((filter) =>
  (SORTS[filter] ?? EVERY_SORT)
    .filter((sort) => !(filter === 'role=user,support' && sort.endsWith('name')))
    .map((sort, i) => ({ filter, sort, seed: i + 1 })),
);

test.each(cases)(
  'faults "offset paging" and "missing tie-break": $filter by $sort, forward and back among inserts and deletes, repeats and misses nobody',
  async ({ filter, sort, seed }) => {
    const random = randomOf(seed * 7919);
    await users.collection.deleteMany({ emailKey: { $regex: '^p\\d' } });
    const first = Array.from({ length: 36 }, () => someUser(random));
    await users.collection.insertMany(first);
    // These stay; the others come and go.
    const staying = new Set(first.slice(0, 24).map(({ _id }) => _id.toHexString()));
    const going = first.slice(24).map(({ _id }) => _id);
    const expected = first
      .filter(({ _id }) => staying.has(_id.toHexString()))
      .filter((one) => isSeen(filter, one))
      .map(({ _id }) => _id.toHexString())
      .sort();

    async function disturb(): Promise<void> {
      const some = Array.from({ length: 1 + random(3) }, () => someUser(random));
      await users.collection.insertMany(some);
      going.push(...some.map(({ _id }) => _id));
      const gone = going.splice(random(going.length), 1 + random(3));
      await users.collection.deleteMany({ _id: { $in: gone } });
    }

    async function read(cursor: string | null): Promise<Page> {
      const query = [filter, `sort=${sort}`, `limit=${1 + random(6)}`];
      if (cursor !== null) query.push(`cursor=${cursor}`);
      const path = `/api/users?${query.filter((one) => one !== '').join('&')}`;
      const { status, json } = await client('GET', path, { token });
      expect(status).toBe(200);
      return json as Page;
    }

    const forward: string[] = [];
    let page = await read(null);
    expect(page.prev_cursor).toBeNull();
    for (;;) {
      forward.push(...page.data.map(({ id }) => id));
      if (page.next_cursor === null) break;
      await disturb();
      page = await read(page.next_cursor);
    }
    expect(new Set(forward).size).toBe(forward.length);
    expect(forward.filter((id) => staying.has(id)).sort()).toEqual(expected);

    const back: string[] = page.data.map(({ id }) => id).reverse();
    while (page.prev_cursor !== null) {
      await disturb();
      page = await read(page.prev_cursor);
      back.push(...page.data.map(({ id }) => id).reverse());
    }
    expect(new Set(back).size).toBe(back.length);
    expect(back.filter((id) => staying.has(id)).sort()).toEqual(expected);
    // The same order, from its other end.
    expect(back.filter((id) => staying.has(id)).reverse()).toEqual(
      forward.filter((id) => staying.has(id)),
    );
  },
);
