import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import bcrypt from 'bcrypt';
import { createIntake, IMPORT_KIND } from '../../../../src/modules/users/bulk/intake';
import { createJobFiles } from '../../../../src/platform/jobs/job-files';
import { createJobStore } from '../../../../src/platform/jobs/job-store';
import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, eventually, login, uniqueEmail } from '../../../support/http';

let service: TestService;
let client: Client;
let token: string;

beforeAll(async () => {
  service = await startTestService({
    JOBS_POLL_MS: '50',
    IMPORT_MAX_BYTES: '4000000',
    IMPORT_MAX_LINES: '100000',
  });
  client = createClient(service.baseUrl);
  token = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const HASH = bcrypt.hashSync('the old password', 4);
const NDJSON = 'application/x-ndjson';

interface Sent {
  readonly query?: string;
  readonly type?: string;
  readonly gzip?: boolean;
}

function send(body: string | Buffer, { query = '', type = NDJSON, gzip = false }: Sent = {}) {
  const bytes = gzip ? gzipSync(body) : Buffer.from(body);
  const headers = { 'content-type': type, ...(gzip && { 'content-encoding': 'gzip' }) };
  return client('POST', `/api/users/import${query}`, {
    token,
    raw: new Uint8Array(bytes),
    headers,
  });
}

/** Imports, waits for the end, and resolves with the job and the lines of its report. */
async function imported(body: string | Buffer, sent: Sent = {}) {
  const answer = await send(body, sent);
  if (answer.status !== 202) throw new Error(`${answer.status} ${answer.text}`);
  const path = answer.headers.get('location') ?? '';
  const job = await eventually('the end of the job', async () => {
    const { json } = await client('GET', path, { token });
    return ['done', 'failed', 'cancelled'].includes(json.state) && json;
  });
  const { text } = await client('GET', `${path}/report`, { token });
  const report = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
  return { job, report, path };
}

const lines = (...records: unknown[]) =>
  records.map((one) => `${typeof one === 'string' ? one : JSON.stringify(one)}\n`).join('');
/** Without the events that are on their way to the log. */
const stored = (email: string) =>
  service.database.connection
    .collection('users')
    .findOne({ emailKey: email.toLowerCase() }, { projection: { outbox: 0 } });

describe('records', () => {
  test('become users that look as created ones, and can sign in', async () => {
    const email = `Ada.${uniqueEmail()}`;
    const password = 'correct horse battery';
    const created = await client('POST', '/api/users', {
      token,
      body: { name: 'Ada Lovelace', email: uniqueEmail(), password },
    });
    const { job, report } = await imported(lines({ name: 'Ada Lovelace', email, password }));
    expect(report).toEqual([]);
    expect(job.state).toBe('done');
    expect(job.progress).toMatchObject({ total: 1, done: 1, created: 1, refused: 0 });
    const one = await stored(email);
    const other = await stored(created.json.email);
    expect(Object.keys(one ?? {}).sort()).toEqual(
      [...Object.keys(other ?? {}), 'importedBy'].sort(),
    );
    expect(one).toMatchObject({
      nameKey: other?.['nameKey'],
      rev: 1,
      status: 'active',
      role: 'user',
    });
    expect(await login(client, email, password)).toMatch(/^ey/);
    const read = await client('GET', `/api/users/${one?._id}`, { token });
    expect(read.json).toMatchObject({ email, name: 'Ada Lovelace', email_verified: false });
  });

  test('carry every member, as NDJSON, as gzip and as CSV', async () => {
    const [a, b] = [uniqueEmail('a'), uniqueEmail('b')];
    const record = {
      name: 'Grace "Amazing" Hopper',
      email_verified: true,
      password_hash: HASH,
      role: 'support',
      user_metadata: { theme: 'dark' },
      app_metadata: { plan: 'pro', tags: ['x', 'y,z'] },
      private_metadata: { note: 'line one\nline two' },
      created_at: '2020-01-02T03:04:05.000Z',
    };
    const ndjson = lines({ ...record, email: a, external_id: 'crm-1' });
    expect((await imported(ndjson, { gzip: true })).report).toEqual([]);
    const quoted = (value: unknown) =>
      `"${(typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('"', '""')}"`;
    const all = { ...record, email: b, external_id: 'crm-2' };
    const csv = `\ufeff${Object.keys(all).join()}\r\n${Object.values(all).map(quoted).join()}\r\n`;
    expect((await imported(csv, { type: 'text/csv; charset=utf-8' })).report).toEqual([]);
    const [one, two] = [await stored(a), await stored(b)];
    for (const user of [one, two])
      expect(user).toMatchObject({
        name: record.name,
        emailVerified: true,
        passwordHash: HASH,
        role: 'support',
        userMetadata: record.user_metadata,
        appMetadata: record.app_metadata,
        privateMetadata: record.private_metadata,
        createdAt: new Date(record.created_at),
      });
    expect([one?.['externalId'], two?.['externalId']]).toEqual(['crm-1', 'crm-2']);
  });
});

describe('a user that exists', () => {
  const setUp = async () => {
    const email = uniqueEmail();
    await imported(lines({ name: 'Before', email, external_id: email, app_metadata: { a: 1 } }));
    return { email, before: await stored(email) };
  };

  test('is left alone and reported by conflict=skip', async () => {
    const { email, before } = await setUp();
    const record = { name: 'After', email: email.toUpperCase() };
    const { job, report } = await imported(lines(record));
    expect(job.progress).toMatchObject({ created: 0, skipped: 1 });
    expect(report).toEqual([expect.objectContaining({ line: 1, code: 'exists', record })]);
    expect(await stored(email)).toEqual(before);
  });

  test('is changed in the named members by conflict=update, and every cache sees it', async () => {
    const { email, before } = await setUp();
    const path = `/api/users/${before?._id}`;
    const old = await client('GET', path, { token });
    const record = { email, name: 'After', user_metadata: { b: 2 } };
    const { job, report } = await imported(lines(record), { query: '?conflict=update' });
    expect(report).toEqual([]);
    expect(job.progress).toMatchObject({ updated: 1, created: 0 });
    const read = await client('GET', path, { token });
    const seen = { name: 'After', user_metadata: { b: 2 }, app_metadata: { a: 1 } };
    expect(read.json).toMatchObject(seen);
    expect(read.headers.get('etag')).not.toBe(old.headers.get('etag'));
    expect(await stored(email)).toMatchObject({ nameKey: 'after', rev: 2, sessionVersion: 1 });
    const again = await imported(lines(record), { query: '?conflict=update' });
    expect(again.job.progress).toMatchObject({ updated: 0, unchanged: 1 });
    expect((await stored(email))?.['rev']).toBe(2);
  });

  test('loses its sessions with another password, role or status', async () => {
    const { email } = await setUp();
    const record = { email, password_hash: HASH, status: 'banned', role: 'support' };
    const { job } = await imported(lines(record), { query: '?conflict=update' });
    expect(job.progress.updated).toBe(1);
    expect(await stored(email)).toMatchObject({
      ...{ passwordHash: HASH, status: 'banned', role: 'support', sessionVersion: 2 },
    });
  });

  test('is found by its external id, and its new address is folded and unverified', async () => {
    const { email, before } = await setUp();
    const next = `New.${uniqueEmail()}`;
    const { job } = await imported(lines({ external_id: email, email: next }), {
      query: '?conflict=update&match=external_id',
    });
    expect(job.progress.updated).toBe(1);
    expect(await stored(email)).toBeNull();
    const moved = { _id: before?._id, email: next, emailVerified: false };
    expect(await stored(next)).toMatchObject(moved);
  });

  test('stops the job with conflict=fail, before that line and for good', async () => {
    const { email } = await setUp();
    const [first, last] = [uniqueEmail(), uniqueEmail()];
    const later = [{ email: last }, { email: first }, { email: 'no' }];
    const body = lines({ email: first }, { email }, ...later);
    const { job, report } = await imported(body, { query: '?conflict=fail' });
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'user_exists' } });
    expect(job.progress).toMatchObject({ total: 5, done: 1, created: 1, refused: 0, reported: 0 });
    expect(report).toEqual([]);
    expect(job.failure.message).toContain('line 2');
    expect([await stored(first), await stored(last)]).toEqual([expect.anything(), null]);
  });
});

test('administrators and roles beyond one’s own are neither made nor changed', async () => {
  const email = uniqueEmail();
  const { report } = await imported(
    lines(
      { email: service.admin.email, name: 'Taken over', password_hash: HASH },
      { email, role: 'admin' },
      { email: uniqueEmail(), role: 'no-such-role' },
    ),
    { query: '?conflict=update' },
  );
  expect(report.map(({ line, code }) => [line, code])).toEqual([
    [1, 'user_protected'],
    [2, 'role_not_allowed'],
    [3, 'role_not_allowed'],
  ]);
  expect(await stored(email)).toBeNull();
  expect(await stored(service.admin.email)).toMatchObject({ name: 'Test Admin', rev: 1 });
});

test('a user occurs once in a file; a taken key is a line of the report', async () => {
  const [a, b, c] = [uniqueEmail(), uniqueEmail(), uniqueEmail()];
  const ids = { external_id: a };
  const many = Array.from({ length: 600 }, (_, i) => ({ email: `${i}.${b}` }));
  const first = [{ email: a, ...ids }, { email: a.toUpperCase() }, { email: c, ...ids }];
  const { job, report } = await imported(lines(...first, ...many, { email: a }), {
    query: '?conflict=update',
  });
  expect(report.map(({ line, code }) => [line, code])).toEqual([
    [2, 'duplicate_record'],
    [3, 'external_id_taken'],
    [604, 'duplicate_record'],
  ]);
  expect(job.progress).toMatchObject({
    ...{ total: 604, done: 604, created: 601, refused: 3, reported: 3 },
  });
});

test('a dry run reports the same and writes nothing', async () => {
  const users = service.database.connection.collection('users');
  const before = await users.countDocuments();
  const body = lines({ email: uniqueEmail() }, { email: service.admin.email }, { email: 'no' });
  const { job, report } = await imported(body, { query: '?dry_run=true' });
  expect(job.progress).toMatchObject({ created: 1, skipped: 1, refused: 1 });
  expect(report.map(({ code }) => code)).toEqual(['exists', 'validation_failed']);
  expect(await users.countDocuments()).toBe(before);
});

test('the report can be put right and sent again', async () => {
  const email = uniqueEmail();
  const { report, job } = await imported(lines({ email, user_metadata: { $x: 1 } }, '{"email":'));
  expect(job.progress.refused).toBe(2);
  const errors = [{ pointer: '/user_metadata/$x' }];
  expect(report[0]).toMatchObject({ code: 'validation_failed', errors });
  expect(report[1]).toMatchObject({ code: 'malformed_json', text: '{"email":' });
  report[0].record.user_metadata = { x: 1 };
  const again = await imported(lines(report[0]));
  expect(again.report).toEqual([]);
  expect(await stored(email)).toMatchObject({ userMetadata: { x: 1 } });
});

describe('a record is in the report as it was sent', () => {
  const email = uniqueEmail();
  const json = `{"email":"${email}","app_metadata":{"x":1e999, "y":[12345678901234567890]}}`;
  const reportOf = async (body: string, sent: Sent = {}) =>
    (await client('GET', `${(await imported(body, sent)).path}/report`, { token })).text;
  const csv = `email,app_metadata\n${email},"{""x"":\n1e999}"\n`;

  test.each<[string, string, Sent, string]>([
    ['NDJSON', `${json}\n`, {}, json],
    ['CSV', csv, { type: 'text/csv' }, `{"email":"${email}","app_metadata":{"x": 1e999}}`],
  ])('as %s, and again when the report is sent', async (_, body, sent, record) => {
    const report = await reportOf(body, sent);
    expect(report).toMatch(/^\{"line":[12],"code":"validation_failed",[^\n]*\}\n$/);
    expect(report).toContain(`"record":${record}}`);
    expect(await reportOf(report)).toContain(`"record":${record}}`);
    expect(await stored(email)).toBeNull();
  });

  test.each([
    ['\\u0072ecord', 'the name is escaped'],
    ['record', 'it is not the last member'],
  ])('%s: %s', async (name) => {
    const line = `{"line":1, "code" : "x", "m":"a\\"record\\":{", "${name}" : ${json} , "z":[{}]}`;
    expect(await reportOf(line)).toContain(`"record":${json}}`);
  });
});

describe('hostile lines become lines of the report', () => {
  const deep = `${'{"a":'.repeat(9)}1${'}'.repeat(9)}`;
  const big = { a: 'x'.repeat(8193) };
  const email = () => uniqueEmail();
  test.each<[string, () => string | Buffer, string]>([
    ['binary', () => Buffer.from([0xff, 0xfe, 0x00, 0x80, 10]), 'invalid_utf8'],
    ['megabytes', () => `{"name":"${'x'.repeat(3_000_000)}"}\n`, 'line_too_long'],
    ['no JSON', () => 'hello\n', 'malformed_json'],
    ['no object', () => '[1]\n', 'validation_failed'],
    ['a number', () => '5', 'validation_failed'],
    ['deep', () => `${'['.repeat(100)}\n`, 'json_too_deep'],
    ['a member twice', () => '{"email":"a@b.cd","email":"x@y.zz"}', 'validation_failed'],
    ['unknown member', () => lines({ email: email(), is_admin: true }), 'validation_failed'],
    ['prototype', () => `{"email":"${email()}","__proto__":{"role":"admin"}}`, 'validation_failed'],
    [
      'a type of BSON',
      () => lines({ email: email(), private_metadata: { a: [{ _bsontype: 'x' }] } }),
      'validation_failed',
    ],
    ['deep metadata', () => `{"email":"${email()}","app_metadata":${deep}}`, 'validation_failed'],
    ['much metadata', () => lines({ email: email(), user_metadata: big }), 'validation_failed'],
    ['no e-mail', () => lines({ name: 'Ada' }), 'validation_failed'],
    ['weak password', () => lines({ email: email(), password: '12345678' }), 'validation_failed'],
    [
      'a time beyond the years',
      () => lines({ email: email(), created_at: '9999-12-31T23:59:59-12:00' }),
      'validation_failed',
    ],
    ['no hash', () => lines({ email: email(), password_hash: 'abc' }), 'validation_failed'],
  ])('%s', async (_name, body, code) => {
    const { job, report } = await imported(body());
    expect(report.map((one) => one.code)).toEqual([code]);
    expect(job.progress).toMatchObject({ total: 1, refused: 1 });
  });

  test.each([
    ['a creation in the year 1', { created_at: '0001-01-01T00:00:00Z' }, 'too_small'],
    ['a creation before 1970', { created_at: '1969-12-31T23:59:59Z' }, 'too_small'],
    ['a creation in 2999', { created_at: '2999-01-01T00:00:00Z' }, 'too_big'],
    [
      'the end of a ban in the year 1',
      { status: 'banned', ban: { until: '0001-01-01T00:00:00Z' } },
      'too_small',
    ],
  ])('%s', async (_name, members, code) => {
    const { report } = await imported(lines({ email: email(), ...members }));
    const pointer = 'ban' in members ? '/ban/until' : '/created_at';
    expect(report.map(({ errors }) => errors)).toMatchObject([[{ pointer, code }]]);
  });

  test('a creation in 1970 and one of now are taken', async () => {
    const ends = ['1970-01-01T00:00:00Z', new Date().toISOString()];
    const { job } = await imported(
      lines(...ends.map((created_at) => ({ email: email(), created_at }))),
    );
    expect(job.progress).toMatchObject({ created: 2 });
  });

  test('among good ones, with CRLF, blank lines, a BOM and no end', async () => {
    const [a, b] = [email(), email()];
    const body = `\ufeff{"email":"${a}"}\r\n\r\n \nno\r\n{"email":"${b}"}`;
    const { job, report } = await imported(body);
    expect(report.map(({ line, code }) => [line, code])).toEqual([[4, 'malformed_json']]);
    expect(job.progress).toMatchObject({ total: 3, created: 2 });
    expect(await stored(b)).toMatchObject({ importedBy: { line: 5 } });
  });

  test('CSV with wrong quotes and numbers of fields', async () => {
    const [a, b] = [email(), email()];
    const rows = [
      ...['email,name', `${a},"Ada\nLovelace"`, `${email()},a"b`, `${email()}`],
      ...[`${b},"x,y ""z"""`, `${email()},"never closed`],
    ];
    const { report } = await imported(`${rows.join('\n')}\n`, { type: 'text/csv' });
    expect(report.map(({ line, code }) => [line, code])).toEqual([
      [2, 'validation_failed'],
      [4, 'malformed_csv'],
      [5, 'malformed_csv'],
      [7, 'malformed_csv'],
    ]);
    expect(await stored(b)).toMatchObject({ name: 'x,y "z"' });
  });

  test('CSV with JSON that is deep, or names a member twice', async () => {
    const [a, b] = [email(), email()];
    const cell = (json: string) => `"${json.replaceAll('"', '""')}"`;
    const rows = [
      ...['email,user_metadata', `${a},${cell('{"x":1}')}`],
      `${email()},${cell(`{"a":${'['.repeat(60_000)}${']'.repeat(60_000)}}`)}`,
      ...[`${email()},${cell('{"a":1,"a":2}')}`, `${email()},${cell('{"a":')}`],
      `${b},${cell('{"y":2}')}`,
    ];
    const { job, report } = await imported(`${rows.join('\n')}\n`, { type: 'text/csv' });
    expect(report.map(({ line, code }) => [line, code])).toEqual([
      [3, 'json_too_deep'],
      [4, 'validation_failed'],
      [5, 'validation_failed'],
    ]);
    expect(job).toMatchObject({ state: 'done', progress: { total: 5, created: 2 } });
    expect(await stored(b)).toMatchObject({ userMetadata: { y: 2 } });
  });
});

describe('an upload is refused', () => {
  const leftovers = async () => {
    const { connection } = service.database;
    const receiving = await connection.collection('jobs').countDocuments({ state: 'receiving' });
    const ids = await connection.collection('jobs').distinct('_id');
    const parts = await connection.collection('job_files').distinct('_id');
    const known = new Set(ids.map(String));
    return receiving + parts.filter((id) => !known.has(String(id).slice(0, 24))).length;
  };
  afterEach(async () => expect(await leftovers()).toBe(0));

  const csv: Sent = { type: 'text/csv' };
  test.each<[string, string | Buffer, Sent, number, string]>([
    ['empty', '', {}, 400, 'body_required'],
    ['blank', '\n \n\r\n', {}, 400, 'body_required'],
    ['a header alone', 'email,name\n', csv, 400, 'body_required'],
    ['an unknown column', 'email,is_admin\na@b.cd,1\n', csv, 422, 'validation_failed'],
    ['a column twice', 'email,email\na@b.cd,1\n', csv, 422, 'validation_failed'],
    ['another media type', '{}', { type: 'application/json' }, 415, 'unsupported_media_type'],
    ['an unknown parameter', '{}', { query: '?conflict=overwrite' }, 400, 'invalid_query'],
    ['many blank lines', '\n'.repeat(100_001), { gzip: true }, 422, 'validation_failed'],
    ['gzip of zeros', Buffer.alloc(5_000_000), { gzip: true }, 413, 'body_too_large'],
  ])('%s', async (_name, body, sent, status, code) => {
    const answer = await send(body, sent);
    expect([answer.status, answer.json.code]).toEqual([status, code]);
  });

  test('at once, where its length says that it is too large', async () => {
    const { hostname, port } = new URL(service.baseUrl);
    const socket = connect(Number(port), hostname);
    const headers = `Host: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: ${NDJSON}`;
    socket.write(
      `POST /api/users/import HTTP/1.1\r\n${headers}\r\nContent-Length: 4000001\r\n\r\n`,
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });

  test('gzip that is none, or breaks off', async () => {
    const half = gzipSync('{"email":"a@b.cd"}\n'.repeat(1000)).subarray(0, 60);
    for (const bytes of [Buffer.from('not gzip'), half]) {
      const headers = { 'content-type': NDJSON, 'content-encoding': 'gzip' };
      const raw = new Uint8Array(bytes);
      const answer = await client('POST', '/api/users/import', { token, raw, headers });
      expect([answer.status, answer.json.code]).toEqual([400, 'malformed_request']);
    }
  });

  test('of a user without the permission', async () => {
    const email = uniqueEmail();
    const password = 'correct horse battery';
    await imported(lines({ email, password, role: 'support' }));
    const support = await login(client, email, password);
    const headers = { 'content-type': NDJSON };
    const raw = lines({ email: uniqueEmail() });
    const sent = await client('POST', '/api/users/import', { token: support, raw, headers });
    expect(sent.status).toBe(403);
    const other = `/api/jobs/${'a'.repeat(24)}`;
    for (const path of ['/api/users/export', other, `${other}/report`])
      expect((await client('GET', path, { token: support })).status).toBe(403);
  });
});

test('an upload that is slow is not swept while it sends', async () => {
  const { connection } = service.database;
  const store = createJobStore(connection, {
    ...{ leaseMs: 10_000, activeMax: 10, keepMs: 60_000, timeoutMs: 2000 },
  });
  const files = createJobFiles(connection, {
    ...{ timeoutMs: 2000, keepMs: 60_000, secrets: ['x'.repeat(40)] },
  });
  const limits = { maxBytes: 1e6, maxLines: 1e6, aliveEveryMs: 0 };
  const intake = createIntake({ store, files, ...limits });
  const receiving = { kind: IMPORT_KIND, state: 'receiving' };
  const left: number[] = [];
  async function* slowly() {
    for (let n = 0; n < 3; n += 1) {
      yield Buffer.from(lines({ email: uniqueEmail() }));
      const job = await connection.collection('jobs').findOne(receiving);
      left.push(job?.['leaseUntil'].getTime() - Date.now());
      await connection
        .collection('jobs')
        .updateOne(receiving, { $set: { leaseUntil: new Date(0) } });
    }
  }
  const actor = { userId: 'cli:test', permissions: [], isService: false };
  const order = { conflict: 'skip', match: 'email', dryRun: true, actor } as const;
  const job = await intake(slowly(), { format: 'ndjson', ...order });
  expect(left.every((ms) => ms > 60_000)).toBe(true);
  await store.cancel(job.id, 'cli:test');
});

describe('a job', () => {
  test('is followed by server-sent events to its end, and no further', async () => {
    const body = lines(...Array.from({ length: 1500 }, () => ({ email: uniqueEmail() })));
    const path = (await send(body)).headers.get('location') ?? '';
    const headers = { accept: 'text/event-stream' };
    const stream = await client('GET', `${path}/events`, { token, headers });
    expect(stream.headers.get('content-type')).toBe('text/event-stream');
    const events = stream.text.split('\n\n').filter((one) => one.includes('data: '));
    const [id = '', name, data = ''] = events.at(-1)?.split('\n') ?? [];
    expect(name).toBe('event: end');
    const ended = { state: 'done', progress: { created: 1500 } };
    expect(JSON.parse(data.slice(6))).toMatchObject(ended);
    const from = (lastEventId: string) =>
      client('GET', `${path}/events`, { token, headers: { 'last-event-id': lastEventId } });
    expect((await from('1')).text).toContain('event: end');
    // An EventSource connects again until it is told not to (WHATWG HTML §9.2.2).
    expect((await from(id.slice(4))).status).toBe(204);
  });

  test('is cancelled, and its file is gone with it', async () => {
    const password = 'correct horse battery';
    const slow = Array.from({ length: 3000 }, () => ({ email: uniqueEmail(), password }));
    const path = (await send(lines(...slow))).headers.get('location') ?? '';
    const inState = (state: string) =>
      eventually(state, async () => {
        const { json } = await client('GET', path, { token });
        return json.state === state && json;
      });
    await inState('running');
    expect((await client('POST', `${path}/cancel`, { token })).status).toBe(202);
    const job = await inState('cancelled');
    expect(job.progress.done).toBeLessThan(3000);
    const id = path.split('/').at(-1) ?? '';
    await eventually('the removal of the file', async () => {
      const parts = await service.database.connection.collection('job_files').distinct('_id');
      return !parts.some((one) => String(one).startsWith(`${id}:input`));
    });
  });

  test('that there is not is 404', async () => {
    const path = `/api/jobs/${'a'.repeat(24)}`;
    const requests = [
      ...(['', '/events', '/report'] as const).map((rest) => ['GET', rest] as const),
      ['POST', '/cancel'] as const,
    ];
    for (const [method, rest] of requests) {
      const answer = await client(method, `${path}${rest}`, { token });
      expect([answer.status, answer.json.code]).toEqual([404, 'job_not_found']);
    }
  });
});

test('an export can be imported again: the same users, hashes and metadata', async () => {
  const users = service.database.connection.collection('users');
  const email = uniqueEmail();
  const record = { email, password_hash: HASH, external_id: email, app_metadata: { p: 1 } };
  await imported(lines(record));
  for (const [format, type] of [
    ['ndjson', NDJSON],
    ['csv', 'text/csv'],
  ] as const) {
    const file = await client('GET', `/api/users/export?format=${format}`, { token });
    expect([file.status, file.headers.get('content-type')]).toEqual([200, type]);
    const count = await users.countDocuments();
    if (format === 'ndjson') {
      const records = file.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(new Set(records.map(({ id }) => id)).size).toBe(count);
      expect(records.find((one) => one.email === email)).toMatchObject(record);
    }
    const before = await stored(email);
    await users.deleteOne({ emailKey: email });
    const { job, report } = await imported(file.text, { type });
    expect(report.filter(({ code }) => code !== 'exists')).toEqual([]);
    expect(job.progress).toMatchObject({ total: count, created: 1 });
    const after = await stored(email);
    const own = { _id: before?._id, updatedAt: before?.['updatedAt'] };
    expect({ ...after, ...own, importedBy: before?.['importedBy'] }).toEqual(before);
  }
  // Its headers alone are no export.
  expect((await client('HEAD', '/api/users/export', { token })).status).toBe(200);
  const events = await client('GET', '/api/audit-events?type=users_exported', { token });
  const formats = events.json.data.map((one: { reason: string }) => one.reason);
  expect(formats.sort()).toEqual(['csv', 'ndjson']);
});
