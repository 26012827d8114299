import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, login } from '../../../support/http';

let service: TestService;
let client: Client;
let token: string;

const NAMES = ['Zoë', 'ada', 'Ada', 'Bob', 'bob', 'Émile', 'carol', 'Ada'];

beforeAll(async () => {
  service = await startTestService({ METADATA_INDEXED: 'app_metadata.plan,user_metadata.age' });
  client = createClient(service.baseUrl);
  token = await login(client, service.admin.email, service.admin.password);
  for (let i = 0; i < 40; i += 1) {
    const body = {
      name: `${NAMES[i % NAMES.length]}`,
      email: `list${String(i).padStart(2, '0')}@example.org`,
      password: 'correct horse battery',
      role: i % 7 === 0 ? 'admin' : 'user',
      ...(i % 4 === 0 ? { app_metadata: { plan: i % 8 === 0 ? 'pro' : 5 } } : {}),
      ...(i === 3 ? { external_id: 'crm 3', user_metadata: { age: '5' } } : {}),
    };
    expect((await client('POST', '/api/users', { token, body })).status).toBe(201);
  }
});
afterAll(() => service?.close());

interface Row {
  id: string;
  name: string;
  email: string;
  role: string;
  created_at: string;
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
    path = /<([^>]+)>; rel="next"/.exec(link ?? '')?.[1];
    expect(answer.json.has_more).toBe(path !== undefined);
    expect(answer.json.next_cursor === null).toBe(path === undefined);
  }
  return rows;
}

const fold = (text: string) => text.normalize('NFKC').toLowerCase();
const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
/** ICU's own, with the strength of the index: an oracle that is not MongoDB. */
const byName = new Intl.Collator('en', { sensitivity: 'accent' }).compare;

describe.each(['created_at', 'name', 'email'] as const)('sorted by %s', (field) => {
  test.each(['', '-'])('%sorder is total, pages neither skip nor repeat', async (sign) => {
    const rows = await walk(`sort=${sign}${field}&limit=3`);
    expect(rows).toHaveLength(41);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(41);
    const keys = rows.map((row) => [fold(String(row[field])), row.id] as const);
    const compare = field === 'name' ? byName : byBytes;
    const sorted = [...keys].sort(
      (a, b) => (compare(a[0], b[0]) || byBytes(a[1], b[1])) * (sign === '-' ? -1 : 1),
    );
    expect(keys).toEqual(sorted);
  });

  test('with a role', async () => {
    const rows = await walk(`sort=${field}&role=admin&limit=2`);
    expect(rows).toHaveLength(7);
    expect(rows.every(({ role }) => role === 'admin')).toBe(true);
  });
});

test('q is the start of the name, of a word of it, or of the address, without accents', async () => {
  expect((await walk('q=AD&limit=4')).map(({ name }) => fold(name)).sort()).toEqual([
    ...Array(15).fill('ada'),
    'test admin',
  ]);
  expect(await walk('q=ada&limit=4')).toHaveLength(15);
  expect(await walk('q=%C3%89mile&limit=4')).toHaveLength(5);
  expect(await walk('q=emil&limit=4')).toHaveLength(5);
  expect(await walk('q=zoe&limit=4')).toHaveLength(5);
  expect((await walk('q=LIST1&limit=4')).length).toBe(10);
  expect((await walk('q=dmin&limit=4')).length).toBe(0);
  expect((await walk('q=LIST07@&limit=4')).map(({ email }) => email)).toEqual([
    'list07@example.org',
  ]);
  const some = await walk('q=ada&sort=-name&role=user&limit=2');
  expect(some.length).toBeGreaterThan(8);
  expect(some.every(({ role, name }) => role === 'user' && fold(name) === 'ada')).toBe(true);
});

test('q of blanks alone, or of text in no name, finds nobody', async () => {
  expect(await walk('q=%20')).toEqual([]);
  expect(await walk('q=%CC%81')).toEqual([]);
  expect(await walk('q=zzz')).toEqual([]);
});

test('email is exact', async () => {
  const { data, has_more: more } = (
    await client('GET', '/api/users?email=LIST03%40example.org', { token })
  ).json;
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
  'role=admin,root',
  'role=',
  'status=gone',
  'fields=password_hash',
  'fields=name&fields=email',
  'ids=1',
  `ids=${'6'.repeat(24)},`,
  `ids=${Array(101).fill('6'.repeat(24)).join(',')}`,
  'created_from=yesterday',
  'created_from=2026-02-30T00:00:00Z',
  'last_login_to=1767225600000',
  'app_metadata.other=1',
  'app_metadata.plan=',
  'private_metadata.plan=1',
  'sort=last_login_at',
])('%s: 400', async (query) => {
  const answer = await client('GET', `/api/users?${query}`, { token });
  expect([answer.status, answer.headers.get('content-type')]).toEqual([
    400,
    'application/problem+json',
  ]);
  expect(answer.json.errors.length).toBeGreaterThan(0);
});

test('a range that ends before it begins names both of its ends', async () => {
  const [early, late] = ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.001Z'];
  for (const name of ['created', 'last_login']) {
    const ends = [`${name}_from`, `${name}_to`];
    const { status, json } = await get(`${ends[0]}=${late}&${ends[1]}=${early}`);
    const pointers = json.errors.map(({ pointer }: { pointer: string }) => pointer);
    expect([status, json.code, pointers]).toEqual([400, 'invalid_query', ends]);
    expect((await get(`${ends[0]}=${early}&${ends[1]}=${early}`)).json.data).toEqual([]);
  }
});

const get = (query: string) => client('GET', `/api/users?${query}`, { token });

test('a cursor is refused with another order or other filters, and not with another limit', async () => {
  const { next_cursor: cursor } = (await get('sort=name&status=active&limit=1')).json;
  for (const query of [
    'sort=email&status=active',
    'sort=-name&status=active',
    'sort=name',
    'sort=name&status=banned',
  ]) {
    const answer = await get(`${query}&cursor=${cursor}`);
    expect([query, answer.status, answer.json.code]).toEqual([query, 400, 'invalid_cursor']);
  }
  const same = await get(`status=active&sort=name&limit=2&fields=name&count=true&cursor=${cursor}`);
  expect([same.status, same.json.data.length]).toEqual([200, 2]);
});

test('links lead back to the first page, over the same pages', async () => {
  const forward: string[][] = [];
  let answer = await get('sort=-name&limit=7&fields=email');
  for (;;) {
    forward.push(answer.json.data.map(({ email }: Row) => email));
    const path = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1];
    if (path === undefined) break;
    answer = await client('GET', path, { token });
  }
  const back: string[][] = [answer.json.data.map(({ email }: Row) => email)];
  for (;;) {
    const path = /<([^>]+)>; rel="prev"/.exec(answer.headers.get('link') ?? '')?.[1];
    expect(path === undefined).toBe(answer.json.prev_cursor === null);
    if (path === undefined) break;
    answer = await client('GET', path, { token });
    expect(answer.json.has_more).toBe(true);
    back.unshift(answer.json.data.map(({ email }: Row) => email));
  }
  expect(forward).toHaveLength(6);
  expect(back.flat()).toEqual(forward.flat());
});

test('several roles, states and times', async () => {
  expect(await walk('role=admin,user&limit=9')).toHaveLength(41);
  expect(await walk('role=admin,user&sort=email&limit=9')).toHaveLength(41);
  expect(await walk('status=active&limit=100')).toHaveLength(41);
  expect(await walk('status=banned')).toEqual([]);
  expect(await walk('status=active&email_verified=false&role=admin&limit=3')).toHaveLength(7);
  const rows = await walk('sort=created_at&limit=100');
  const [from, to] = [rows[10]?.created_at ?? '', rows[20]?.created_at ?? ''];
  const some = await walk(`created_from=${from}&created_to=${to}&sort=created_at&limit=3`);
  expect(some.map(({ id }) => id)).toEqual(
    rows.filter((row) => row.created_at >= from && row.created_at < to).map(({ id }) => id),
  );
  expect(some.length).toBeGreaterThan(5);
  // Only the administrator of this test has signed in.
  expect(
    (await walk('last_login_from=2020-01-01T00:00:00%2B02:00')).map(({ role }) => role),
  ).toEqual(['admin']);
  expect(await walk('last_login_to=2020-01-01T00:00:00Z')).toEqual([]);
});

test('ids, in their order and in pages', async () => {
  const ids = (await walk('sort=-email&limit=100')).slice(3, 12).map(({ id }) => id);
  const unknown = 'f'.repeat(24);
  const sorted = [...ids].sort();
  expect((await walk(`ids=${[...ids, unknown].join(',')}`)).map(({ id }) => id)).toEqual(sorted);
  const first = await get(`ids=${ids.join(',')}&limit=4`);
  expect([first.json.data.length, first.json.has_more]).toEqual([4, true]);
  expect((await walk(`ids=${ids.join(',')}&limit=4`)).map(({ id }) => id)).toEqual(sorted);
  expect((await get(`ids=${ids.join(',')}&role=user`)).json.code).toBe('filters_not_supported');
});

test('external_id and email find one user, with any other filter beside', async () => {
  for (const query of [
    'external_id=crm%203',
    'external_id=crm%203&email=LIST03@example.org&sort=name',
    'external_id=crm%203&role=user&status=active&q=bob',
  ])
    expect((await walk(query)).map(({ email }) => email)).toEqual(['list03@example.org']);
  for (const query of [
    'external_id=crm',
    'external_id=crm%203&role=admin',
    'external_id=crm%203&q=ada',
    'email=list03@example.org&created_to=2020-01-01T00:00:00Z',
  ])
    expect(await walk(query)).toEqual([]);
});

test('indexed metadata: a text may mean a number', async () => {
  expect(await walk('app_metadata.plan=pro&limit=2')).toHaveLength(5);
  expect(await walk('app_metadata.plan=5&limit=2&sort=created_at')).toHaveLength(5);
  expect(await walk('user_metadata.age=5')).toHaveLength(1);
  expect(await walk('app_metadata.plan=none')).toEqual([]);
  expect((await get('app_metadata.plan=pro&count=true')).json.total).toBe(5);
  const both = await get('app_metadata.plan=pro&user_metadata.age=5');
  expect([both.status, both.json.code]).toEqual([400, 'filters_not_supported']);
});

test('fields: these members and the id', async () => {
  const { data } = (await get('fields=email,status&limit=2&sort=email')).json;
  expect(data.map(Object.keys)).toEqual([
    ['id', 'email', 'status'],
    ['id', 'email', 'status'],
  ]);
  const [shown] = (await get('email=list00@example.org&fields=app_metadata')).json.data;
  expect(shown.app_metadata).toEqual({ plan: 'pro' });
  expect((await get('fields=id&limit=1')).json.data.map(Object.keys)).toEqual([['id']]);
});

test('a page has an ETag: 304 while it is the same, another with other members', async () => {
  const first = await get('limit=2&sort=email');
  const etag = first.headers.get('etag') ?? '';
  const again = await client('GET', '/api/users?sort=email&limit=2', {
    token,
    headers: { 'if-none-match': etag },
  });
  expect(again.status).toBe(304);
  expect((await get('limit=2&sort=email&fields=name')).headers.get('etag')).not.toBe(etag);
});

test.each([
  ['q=ada&status=active', 'filters_not_supported'],
  ['q=ada&sort=email', 'sort_not_supported'],
  ['q=ada%40&sort=name', 'sort_not_supported'],
  ['created_from=2026-01-01T00:00:00Z&sort=name', 'sort_not_supported'],
  [
    'created_from=2026-01-01T00:00:00Z&last_login_from=2026-01-01T00:00:00Z',
    'filters_not_supported',
  ],
  ['app_metadata.plan=pro&role=user', 'filters_not_supported'],
  ['role=admin,user&sort=name', 'filters_not_supported'],
])('%s: 400 with the list of what is supported', async (query, code) => {
  const { status, json } = await get(query);
  expect([status, json.code]).toEqual([400, code]);
  expect(json.supported).toContainEqual({
    sort: 'name',
    requires: ['q'],
    accepts: ['role'],
    roles_max: 6,
  });
  expect(json.detail.length).toBeLessThan(1024);
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

test('a q that is longer than a key of the index finds exact matches only', async () => {
  const made = ['Maximiliana Jones', 'Maximiliana Joyce', 'Jo Maximilianissima'];
  for (const [i, name] of made.entries()) {
    const body = { name, email: `maximilian.long${i}@example.org`, password: 'correct horse b' };
    expect((await client('POST', '/api/users', { token, body })).status).toBe(201);
  }
  const named = async (q: string) =>
    (await walk(`q=${encodeURIComponent(q)}&limit=1`)).map(({ name }) => name).sort();
  expect(await named('maximiliana')).toEqual([made[0], made[1]]);
  expect(await named('maximiliana j')).toEqual([made[0], made[1]]);
  expect(await named('MAXIMILIANA  jon')).toEqual([made[0]]);
  expect(await named('maximiliana jx')).toEqual([]);
  expect(await named('maximilianiss')).toEqual([made[2]]);
  expect(await named('maximilianisx')).toEqual([]);
  expect(await named('maximilian.long1')).toEqual([made[1]]);
  expect(await named('maximilian.long$')).toEqual([]);
  const page = await client('GET', '/api/users?q=maximiliana%20jon&count=true', { token });
  expect(page.json.total).toBe(1);
  const [only] = await walk('q=maximilian.long2');
  const byEmail = `/api/users?email=${only?.email}&q=`;
  expect((await client('GET', `${byEmail}maximilian.long2`, { token })).json.data).toHaveLength(1);
  expect((await client('GET', `${byEmail}maximilian.long3`, { token })).json.data).toEqual([]);
});
