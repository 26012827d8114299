import { startTestService, type TestService } from '../support/app';
import { type Client, createClient, login } from '../support/http';

let service: TestService;
let client: Client;
let token: string;

const NAMES = ['Zoë', 'ada', 'Ada', 'Bob', 'bob', 'Émile', 'carol', 'Ada'];

beforeAll(async () => {
  service = await startTestService();
  client = createClient(service.baseUrl);
  token = await login(client, service.admin.email, service.admin.password);
  for (let i = 0; i < 40; i += 1) {
    const body = {
      name: `${NAMES[i % NAMES.length]}`,
      email: `list${String(i).padStart(2, '0')}@example.org`,
      password: 'correct horse battery',
      role: i % 7 === 0 ? 'admin' : 'user',
    };
    expect((await client('POST', '/api/users', { token, body })).status).toBe(201);
  }
}, 60_000);
afterAll(() => service?.close());

interface Row {
  id: string;
  name: string;
  email: string;
  role: string;
  createdAt: string;
}

async function walk(query: string): Promise<Row[]> {
  const rows: Row[] = [];
  let path: string | undefined = `/api/users?${query}`;
  for (let pages = 0; path !== undefined; pages += 1) {
    expect(pages).toBeLessThan(50);
    const answer = await client('GET', path, { token });
    expect(answer.status).toBe(200);
    rows.push(...answer.json.data);
    const link = answer.headers.get('link');
    expect(answer.json.has_more).toBe(link !== null);
    expect(answer.json.next_cursor === null).toBe(link === null);
    path = link === null ? undefined : /^<([^>]+)>; rel="next"$/.exec(link)?.[1];
  }
  return rows;
}

const fold = (text: string) => text.normalize('NFKC').toLowerCase();
const ascending = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

describe.each(['createdAt', 'name', 'email'] as const)('sorted by %s', (field) => {
  test.each(['', '-'])('%sorder is total, pages neither skip nor repeat', async (sign) => {
    const rows = await walk(`sort=${sign}${field}&limit=3`);
    expect(rows).toHaveLength(41);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(41);
    const keys = rows.map((row) => [fold(String(row[field])), row.id] as const);
    const sorted = [...keys].sort((a, b) => (ascending(a[0], b[0]) || ascending(a[1], b[1])) * (sign === '-' ? -1 : 1));
    expect(keys).toEqual(sorted);
  });

  test('with a role', async () => {
    const rows = await walk(`sort=${field}&role=admin&limit=2`);
    expect(rows).toHaveLength(7);
    expect(rows.every(({ role }) => role === 'admin')).toBe(true);
  });
});

test('q is the start of a name, whatever its case, or of an address', async () => {
  expect((await walk('q=AD&limit=4')).every(({ name }) => fold(name).startsWith('ad'))).toBe(true);
  expect(await walk('q=ada&limit=4')).toHaveLength(15);
  expect((await walk('q=LIST1&limit=4')).length).toBe(0);
  expect((await walk('q=LIST07@&limit=4')).map(({ email }) => email)).toEqual(['list07@example.org']);
  expect((await walk('q=ada&sort=-name&role=user&limit=2')).every(({ role }) => role === 'user')).toBe(true);
});

test('email is exact', async () => {
  const { data, has_more: more } = (await client('GET', '/api/users?email=LIST03%40example.org', { token })).json;
  expect([data.map(({ email }: Row) => email), more]).toEqual([['list03@example.org'], false]);
});

test('count', async () => {
  const { json } = await client('GET', '/api/users?count=true&limit=1&role=user', { token });
  expect([json.total, json.total_capped, json.data.length]).toEqual([34, false, 1]);
});

test.each([
  'limit=0',
  'limit=101',
  'limit=1e1',
  'limit=',
  'sort=passwordHash',
  'sort=name,email',
  'role=root',
  'email=nobody',
  'cursor=%24',
  'cursor=AAAA',
  'offset=3',
  'limit=1&limit=2',
  'role[$ne]=user',
  'q=ada&sort=email',
  'count=yes',
])('%s: 400', async (query) => {
  const answer = await client('GET', `/api/users?${query}`, { token });
  expect([answer.status, answer.headers.get('content-type')]).toEqual([400, 'application/problem+json']);
  expect(answer.json.errors.length).toBeGreaterThan(0);
});

test('a cursor of one order is refused by another', async () => {
  const { next_cursor: cursor } = (await client('GET', '/api/users?sort=name&limit=1', { token })).json;
  const answer = await client('GET', `/api/users?sort=email&cursor=${cursor}`, { token });
  expect([answer.status, answer.json.code]).toEqual([400, 'invalid_cursor']);
});

test('a new user is on the next page read', async () => {
  expect((await walk('q=fresh')).length).toBe(0);
  const made = await client('POST', '/api/users', {
    token,
    body: { name: 'Fresh', email: 'fresh@example.org', password: 'correct horse battery' },
  });
  expect((await walk('q=fresh')).map(({ id }) => id)).toEqual([made.json.id]);
  await client('DELETE', `/api/users/${made.json.id}`, { token });
  expect((await walk('q=fresh')).length).toBe(0);
});
