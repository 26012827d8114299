import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, eventually, login, uniqueEmail } from '../../../support/http';

/** What an export has of a user, an import with conflict=update restores. */
let service: TestService;
let client: Client;
let token: string;

beforeAll(async () => {
  service = await startTestService({ JOBS_POLL_MS: '50' });
  client = createClient(service.baseUrl);
  token = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const TYPES = { ndjson: 'application/x-ndjson', csv: 'text/csv' } as const;
type Format = keyof typeof TYPES;

async function imported(raw: string, format: Format = 'ndjson', match = 'email') {
  const path = `/api/users/import?conflict=update&match=${match}`;
  const headers = { 'content-type': TYPES[format] };
  const { status, json } = await client('POST', path, { token, raw, headers });
  expect(status).toBe(202);
  const job = await eventually('the end of the job', async () => {
    const { json: one } = await client('GET', `/api/jobs/${json.id}`, { token });
    return ['done', 'failed'].includes(one.state) && one;
  });
  const { text } = await client('GET', `/api/jobs/${json.id}/report`, { token });
  const lines = text.split('\n').filter((line) => line !== '');
  return { progress: job.progress, lines, report: lines.map((line) => JSON.parse(line)) };
}
const record = (one: object) => `${JSON.stringify(one)}\n`;

async function exported(email: string, format: Format): Promise<string> {
  const { text } = await client('GET', `/api/users/export?format=${format}`, { token });
  const [header, ...lines] = text.split('\n');
  const own = lines.filter((line) => line.includes(email));
  // The first line of NDJSON is a user too: the administrator, whom no import changes.
  return [header, ...own].join('\n');
}

async function made(members: object = {}) {
  const email = uniqueEmail();
  expect((await imported(record({ email, ...members }))).report).toEqual([]);
  const { json } = await client('GET', `/api/users?email=${email}`, { token });
  const path = `/api/users/${json.data[0].id}`;
  const read = async () => {
    const { updated_at: _, ...user } = (await client('GET', path, { token })).json;
    return user;
  };
  return { email, path, read };
}

describe.each(['ndjson', 'csv'] as const)('a line of an export as %s restores', (format) => {
  test.each<[string, object]>([
    ['a user that has nothing', {}],
    ['a ban without an end', { status: 'banned' }],
    [
      'a user that has everything',
      {
        ...{ email_verified: true, role: 'support', status: 'banned' },
        ban: { until: '2999-01-01T00:00:00.000Z', reason: 'spam, "much"' },
        ...{ password_change_required: true, external_id: 'null' },
        ...{ user_metadata: { a: 1 }, app_metadata: { b: [] }, private_metadata: { c: {} } },
      },
    ],
    ['an external id in quotes', { external_id: '"quoted"' }],
  ])('%s', async (_name, members) => {
    const { email, read } = await made(members);
    const before = await read();
    const file = await exported(email, format);
    const other = {
      ...{ email, name: 'Other', email_verified: !before.email_verified, role: 'user' },
      ...{ status: 'banned', ban: { until: '2998-01-01T00:00:00Z', reason: 'other' } },
      ...{ external_id: `other-${email}`, user_metadata: { x: 1 }, app_metadata: { y: 1 } },
      ...{ private_metadata: { z: 1 }, password_change_required: true },
    };
    expect((await imported(record(other))).progress).toMatchObject({ updated: 1, refused: 0 });
    const { report } = await imported(file, format);
    expect(report.filter((one) => one.record.email === email)).toEqual([]);
    expect(await read()).toEqual(before);
    // Another user may have it again.
    await imported(record({ email, external_id: null }));
  });
});

describe('null', () => {
  test('takes an external id away', async () => {
    const { email, read } = await made({ external_id: uniqueEmail('id') });
    const { progress } = await imported(record({ email, external_id: null }));
    expect(progress).toMatchObject({ updated: 1 });
    expect(await read()).toMatchObject({ external_id: null });
  });

  test.each([[null], [{}], [{ until: null, reason: null }]])(
    'as %j takes the end and the reason of a ban away',
    async (ban) => {
      const spam = { until: '2999-01-01T00:00:00.000Z', reason: 'spam' };
      const { email, read } = await made({ status: 'banned', ban: spam });
      const named = await imported(record({ email, status: 'banned' }));
      expect(named.progress).toMatchObject({ unchanged: 1 });
      expect(await read()).toMatchObject({ ban: spam });
      await imported(record({ email, status: 'banned', ban }));
      expect(await read()).toMatchObject({ status: 'banned', ban: { until: null, reason: null } });
    },
  );
});

describe('the text of a report line, put right, is a record', () => {
  test('of broken JSON, and of a member that occurred twice', async () => {
    const [a, b] = [uniqueEmail(), uniqueEmail()];
    const first = await imported(`{"email":"${a}"\n{"email":"${b}","email":"${b}"}\n`);
    expect(first.report.map(({ code }) => code)).toEqual(['malformed_json', 'validation_failed']);
    const again = await imported(first.lines.map((line) => `${line}\n`).join(''));
    expect(again.report).toEqual(first.report);
    const right = [
      { ...first.report[0], text: `{"email":\n"${a}"}` },
      { ...first.report[1], text: `{"email":"${b}"}` },
    ];
    const { progress, report } = await imported(right.map(record).join(''));
    expect([report, progress.created]).toEqual([[], 2]);
  });

  test('is in the next report as a record where only its content is wrong', async () => {
    const text = '{"email":\n"no"}';
    const { lines } = await imported(
      record({ line: 1, code: 'malformed_json', message: '', text }),
    );
    expect(lines).toEqual([expect.stringContaining('"record":{"email": "no"}')]);
  });

  test('of a CSV file, as CSV under the columns of the line', async () => {
    const [a, b] = [uniqueEmail(), uniqueEmail()];
    const file = `email,name,user_metadata\n${a},"Ada "A.",\n${b},B,"{""x"":1}",\n`;
    const first = await imported(file, 'csv');
    const columns = ['email', 'name', 'user_metadata'];
    expect(first.report).toMatchObject([
      { line: 2, code: 'malformed_csv', columns, text: `${a},"Ada "A.",` },
      { line: 3, code: 'malformed_csv', columns, text: `${b},B,"{""x"":1}",` },
    ]);
    const again = await imported(first.lines.map((line) => `${line}\n`).join(''));
    expect(again.report).toEqual(first.report.map((one, i) => ({ ...one, line: i + 1 })));
    const right = [
      { ...first.report[0], text: `${a},"Ada ""A.""",` },
      { ...first.report[1], text: `${b},B,"{""x"":\r\n1}"` },
      { ...first.report[1], columns: ['email', 'email'], text: `${a},${a}` },
      { ...first.report[1], columns: 'email', text: a },
    ];
    const { progress, report } = await imported(right.map(record).join(''));
    expect(progress).toMatchObject({ created: 2, refused: 2 });
    expect(report.map(({ line, code }) => [line, code])).toEqual([
      [3, 'validation_failed'],
      [4, 'validation_failed'],
    ]);
    const { json } = await client('GET', `/api/users?email=${b}`, { token });
    expect(json.data).toMatchObject([{ name: 'B', user_metadata: { x: 1 } }]);
  });

  test('not where bytes are lost', async () => {
    const email = uniqueEmail();
    const lost = Buffer.from(`{"email":"${email}","name":"J?rg"}\n`);
    const bytes = Buffer.from(lost.map((one) => (one === 63 ? 0xf6 : one)));
    const headers = { 'content-type': TYPES.ndjson };
    const raw = new Uint8Array(bytes);
    const sent = await client('POST', '/api/users/import', { token, raw, headers });
    const reportOf = () => client('GET', `/api/jobs/${sent.json.id}/report`, { token });
    await eventually('the report', async () => (await reportOf()).text !== '');
    const again = await imported((await reportOf()).text);
    expect(again.report.map(({ code }) => code)).toEqual(['invalid_utf8']);
    const right = { ...again.report[0], text: again.report[0].text.replace('\ufffd', 'ö') };
    expect((await imported(record(right))).progress).toMatchObject({ created: 1 });
  });
});

test('of the lines of one user the first that writes it counts, in whatever part', async () => {
  const { email, read } = await made({ name: 'Before' });
  const many = () => Array.from({ length: 500 }, () => record({ email: uniqueEmail() })).join('');
  const line = (name: string) => record({ email, name });
  const file = [line('Before'), line('Same part'), many(), line('First'), many(), line('Second')];
  const { progress, report } = await imported(file.join(''));
  expect(progress).toMatchObject({ created: 1000, unchanged: 1, updated: 1, refused: 2 });
  expect(report.map((one) => [one.line, one.code])).toEqual([
    [2, 'duplicate_record'],
    [1004, 'duplicate_record'],
  ]);
  expect(await read()).toMatchObject({ name: 'First' });
});
