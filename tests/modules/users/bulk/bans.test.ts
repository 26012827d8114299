import bcrypt from 'bcrypt';
import { startTestService, type TestService } from '../../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';

let service: TestService;
let client: Client;
let token: string;

beforeAll(async () => {
  service = await startTestService({ JOBS_POLL_MS: '50' });
  client = createClient(service.baseUrl);
  token = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const FORMATS = [
  ['ndjson', 'application/x-ndjson'],
  ['csv', 'text/csv'],
] as const;
const HASH = bcrypt.hashSync(PASSWORD, 4);
const users = () => service.database.connection.collection('users');
const stored = (email: string) => users().findOne({ emailKey: email });

async function imported(body: string, { query = '', type = FORMATS[0][1] as string } = {}) {
  const headers = { 'content-type': type };
  const path = `/api/users/import?${query}`;
  const { status, json } = await client('POST', path, { token, raw: body, headers });
  expect(status).toBe(202);
  const job = await eventually('the end of the job', async () => {
    const { json: read } = await client('GET', `/api/jobs/${json.id}`, { token });
    return ['done', 'failed'].includes(read.state) && read;
  });
  const { text } = await client('GET', `/api/jobs/${json.id}/report`, { token });
  const lines = text.split('\n').filter((line) => line !== '');
  return { id: json.id as string, job, report: lines.map((line) => JSON.parse(line)) };
}
const lines = (...records: object[]) => records.map((one) => `${JSON.stringify(one)}\n`).join('');
const update = (...records: object[]) => imported(lines(...records), { query: 'conflict=update' });

const UNTIL = '2090-01-31T12:00:00.000Z';
const OVER = '2020-01-31T12:00:00.000Z';

/** Written as a login or a list finds it: nothing has lifted the ban yet. */
async function withOverBan(): Promise<string> {
  const { user } = await register(client);
  const bannedUntil = new Date(Date.now() + 3_600_000);
  await users().updateOne(
    { emailKey: user.email },
    { $set: { status: 'banned', bannedUntil, banReason: 'over' } },
  );
  return user.email;
}

describe('an export and its import', () => {
  test.each(FORMATS)('keep bans and demanded passwords, as %s', async (format, type) => {
    const kinds = {
      timed: [{ until: UNTIL, reason: 'spam, "much" of it' }, 'ban'],
      lasting: [{}, 'ban'],
      demanded: [{ end_sessions: false }, 'require-password-change'],
      free: undefined,
    } as const;
    const emails: string[] = [];
    for (const door of Object.values(kinds)) {
      const { user } = await register(client);
      emails.push(user.email);
      if (door === undefined) continue;
      const [body, action] = door;
      const path = `/api/users/${user.id}/${action}`;
      expect((await client('POST', path, { token, body })).status).toBe(200);
    }
    const file = await client('GET', `/api/users/export?format=${format}`, { token });
    const before = await Promise.all(emails.map(stored));
    await users().deleteMany({ emailKey: { $in: emails } });
    const { report } = await imported(file.text, { type });
    expect(report.filter(({ code }) => code !== 'exists')).toEqual([]);
    const after = await Promise.all(emails.map(stored));
    const seen = (all: typeof after) =>
      all.map((one) =>
        ['status', 'bannedUntil', 'banReason', 'mustChangePassword'].map((name) => one?.[name]),
      );
    expect(seen(after)).toEqual(seen(before));
    expect(seen(after)).toEqual([
      ['banned', new Date(UNTIL), 'spam, "much" of it', undefined],
      ['banned', undefined, undefined, undefined],
      ['active', undefined, undefined, true],
      ['active', undefined, undefined, undefined],
    ]);
  });

  test('a ban that is over is none, in the export and in a file', async () => {
    const email = await withOverBan();
    await users().updateOne({ emailKey: email }, { $set: { bannedUntil: new Date(OVER) } });
    const { text } = await client('GET', '/api/users/export', { token });
    const record = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .find((one) => one.email === email);
    expect(record).toMatchObject({ status: 'active', ban: null });
    const later = uniqueEmail();
    const ban = { until: OVER, reason: 'spam' };
    await imported(lines({ email: later, status: 'banned', ban, password_hash: HASH }));
    expect(await stored(later)).toMatchObject({ status: 'active' });
    expect(await stored(later)).not.toHaveProperty('bannedUntil');
    expect(await login(client, later, PASSWORD)).toMatch(/^ey/);
  });
});

describe('an import changes', () => {
  test('a ban, which ends sessions and is in the audit log; and nothing where it is the same', async () => {
    const { user } = await register(client);
    const { email } = user;
    const ban = { until: UNTIL, reason: 'spam' };
    const { id } = await update({ email, status: 'banned', ban });
    const banned = { status: 'banned', bannedUntil: new Date(UNTIL), banReason: 'spam' };
    expect(await stored(email)).toMatchObject({ ...banned, sessionVersion: 2 });
    const event = await eventually('the event', () =>
      service.database.connection.collection('audit_events').findOne({ job: id }),
    );
    expect(event).toMatchObject({ subject: user.id, note: 'spam' });
    expect((await update({ email, status: 'banned', ban })).job.progress.unchanged).toBe(1);
    // What is not named stays.
    expect((await update({ email, status: 'banned' })).job.progress.unchanged).toBe(1);
    await update({ email, status: 'banned', ban: { until: null, reason: 'worse' } });
    const next = await stored(email);
    expect(next).toMatchObject({ banReason: 'worse', sessionVersion: 3 });
    expect(next).not.toHaveProperty('bannedUntil');
    await update({ email, status: 'active' });
    expect(await stored(email)).not.toHaveProperty('banReason');
  });

  test('a demand of another password, also together with a password', async () => {
    const { user } = await register(client);
    const { email } = user;
    const demanded = async () => (await stored(email))?.['mustChangePassword'];
    await update({ email, password_change_required: true });
    expect(await demanded()).toBe(true);
    await update({ email, password_hash: HASH, password_change_required: true });
    expect([await demanded(), (await stored(email))?.['passwordHash']]).toEqual([true, HASH]);
    await update({ email, password_change_required: false });
    expect(await demanded()).toBeUndefined();
    const types = async () => {
      const { json } = await client('GET', `/api/audit-events?subject=${user.id}`, { token });
      const all = json.data.map(({ type }: { type: string }) => type);
      return all.filter((type: string) => type === 'password_change_required').length === 2;
    };
    await eventually('the event', types);
  });

  test.each([
    ['a ban of an active user', { ban: { until: UNTIL } }, '/ban'],
    ['a ban that says active', { status: 'active', ban: {} }, '/ban'],
    ['no time', { status: 'banned', ban: { until: 'soon' } }, '/ban/until'],
    ['a long reason', { status: 'banned', ban: { reason: 'x'.repeat(501) } }, '/ban/reason'],
    ['another member', { status: 'banned', ban: { by: 'x' } }, '/ban/by'],
    ['no boolean', { password_change_required: 'yes' }, '/password_change_required'],
  ])('nothing for %s', async (_, members, pointer) => {
    const { report } = await update({ email: uniqueEmail(), ...members });
    const errors = [expect.objectContaining({ pointer })];
    expect(report).toEqual([expect.objectContaining({ code: 'validation_failed', errors })]);
  });
});
