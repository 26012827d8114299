import bcrypt from 'bcrypt';
import { createOneTimeTokens } from '../../../../src/modules/auth/recovery/one-time-tokens';
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

/** What an import does to accounts that exist is cleaned up after as other changes of them are. */
const HASH = bcrypt.hashSync('the old password', 4);
/** Nobody listens there: mails wait. */
const SETTINGS = { JOBS_POLL_MS: '50', SMTP_URL: 'smtp://127.0.0.1:9' };

let service: TestService;
let client: Client;
let admin: string;
let adminId: string;

beforeAll(async () => {
  service = await startTestService(SETTINGS);
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
  adminId = (await client('GET', '/api/users/me', { token: admin })).json.id;
});
afterAll(() => service?.close());

const rows = (name: string) => service.database.connection.collection(name);
const kept = (name: string, userId: string) => rows(name).countDocuments({ userId });
const waitingMails = (account: string) => rows('mail_queue').countDocuments({ account });

async function sent(records: readonly object[]): Promise<string> {
  const raw = records.map((one) => `${JSON.stringify(one)}\n`).join('');
  const headers = { 'content-type': 'application/x-ndjson' };
  const path = '/api/users/import?conflict=update&match=external_id';
  const answer = await client('POST', path, { token: admin, raw, headers });
  expect(answer.status).toBe(202);
  return answer.json.id;
}

const ended = (job: string) =>
  eventually('the end of the job', async () => {
    const { json } = await client('GET', `/api/jobs/${job}`, { token: admin });
    return !['queued', 'running'].includes(json.state) && json;
  });

async function imported(...records: object[]): Promise<string> {
  const job = await sent(records);
  expect(await ended(job)).toMatchObject({ state: 'done', progress: { refused: 0 } });
  return job;
}

/** A user that imports find by its id. */
async function subject() {
  const { user, ...tokens } = await register(client);
  const body = { external_id: user.id };
  expect((await client('PATCH', `/api/users/${user.id}`, { token: admin, body })).status).toBe(200);
  await eventually('the first mail', async () => (await waitingMails(user.id)) > 0);
  await eventually('the device', async () => (await kept('known_devices', user.id)) > 0);
  return { ...user, ...tokens, external_id: user.id };
}

async function link(
  user: { id: string; email: string },
  purpose: 'change-email' | 'reset-password',
  email = user.email,
): Promise<string> {
  const tokens = createOneTimeTokens(service.database.connection, { timeoutMs: 2000 });
  const grant = { purpose, userId: user.id, email, accountEmail: user.email, sessionVersion: 1 };
  return tokens.issue(grant, 600);
}

/** The audit log about a user: what this job has done, the oldest first. */
async function audited(subjectId: string, count: number) {
  const about = { subject: subjectId, job: { $exists: true } };
  await eventually(
    'events',
    async () => (await rows('audit_events').countDocuments(about)) >= count,
  );
  const { json } = await client('GET', `/api/audit-events?subject=${subjectId}`, { token: admin });
  return json.data.filter((one: { job: string | null }) => one.job !== null).reverse();
}

test('a link to a new address ends with the address, also when that comes back', async () => {
  const user = await subject();
  const { external_id, email } = user;
  const next = uniqueEmail();
  const token = await link(user, 'change-email', next);
  await imported({ external_id, email: uniqueEmail() });
  await imported({ external_id, email });
  const body = { token, current_password: PASSWORD };
  const answer = await client('POST', '/api/auth/email/verify', { body });
  expect([answer.status, answer.json.code]).toEqual([400, 'invalid_mail_token']);
  const { json } = await client('GET', `/api/users/${user.id}`, { token: admin });
  expect(json.email).toBe(email);
});

test('another password ends links, waiting mails, devices and sessions, as an administrator’s', async () => {
  const user = await subject();
  await link(user, 'reset-password');
  const job = await imported({ external_id: user.external_id, password_hash: HASH });
  for (const name of ['one_time_tokens', 'known_devices', 'sessions'])
    expect([name, await kept(name, user.id)]).toEqual([name, 0]);
  expect(await waitingMails(user.id)).toBe(0);
  const events = await audited(user.id, 1);
  expect(events).toEqual([
    expect.objectContaining({ type: 'password_set', result: 'success', actor: adminId, job }),
  ]);
  // No notice to the owner either.
  expect(await waitingMails(user.id)).toBe(0);
});

test('a ban ends links; a role and the end of a ban do not', async () => {
  const user = await subject();
  await link(user, 'reset-password');
  const { external_id } = user;
  await imported({ external_id, role: 'support' });
  expect(await kept('one_time_tokens', user.id)).toBeGreaterThan(0);
  await imported({ external_id, status: 'banned' });
  expect(await kept('one_time_tokens', user.id)).toBe(0);
  expect(await kept('known_devices', user.id)).toBe(1);
  await link(user, 'reset-password');
  await imported({ external_id, status: 'active' });
  expect(await kept('one_time_tokens', user.id)).toBe(1);
});

test('the audit log names the changes of the job to each account, and nothing else', async () => {
  const user = await subject();
  const [plain, fresh] = [await subject(), uniqueEmail()];
  const email = uniqueEmail();
  const all = { email, email_verified: true, password_hash: HASH, role: 'support' };
  const job = await imported(
    { external_id: user.external_id, ...all, status: 'banned' },
    { external_id: plain.external_id, name: 'Other', user_metadata: { a: 1 } },
    { external_id: fresh, email: fresh, password_hash: HASH, role: 'support', status: 'banned' },
  );
  const events = await audited(user.id, 4);
  expect(events.map(({ type, reason }: never) => [type, reason])).toEqual([
    ['email_changed', null],
    ['password_set', null],
    ['role_set', 'support'],
    ['account_banned', null],
  ]);
  for (const one of events) expect(one).toMatchObject({ actor: adminId, job });
  await imported({ external_id: user.external_id, status: 'active' });
  expect((await audited(user.id, 5)).at(-1).type).toBe('account_unbanned');
  // As of another account by hand, and nothing of a user that is made.
  const changed = { type: 'metadata_changed', reason: 'name user_metadata', actor: adminId, job };
  expect(await audited(plain.id, 1)).toEqual([expect.objectContaining(changed)]);
  const made = await rows('users').findOne({ emailKey: fresh });
  const about = { subject: String(made?._id), job: { $exists: true } };
  expect(await rows('audit_events').countDocuments(about)).toBe(0);
  // No mail to the former address, nor to the owner.
  expect(await waitingMails(user.id)).toBe(0);
});

test('metadata that an import changes is audited with its members, and only with the changed ones', async () => {
  const { id, external_id } = await subject();
  const members = { app_metadata: { plan: 'pro' }, private_metadata: { note: 'x' } };
  await imported({ external_id, ...members });
  await imported({ external_id, ...members });
  await imported({ external_id, app_metadata: {}, private_metadata: { note: 'x' } });
  const events = await audited(id, 2);
  expect(events.map(({ type, reason }: never) => [type, reason])).toEqual([
    ['metadata_changed', 'app_metadata private_metadata'],
    ['metadata_changed', 'app_metadata'],
  ]);
});

test('a part is not done before its events are in the audit log', async () => {
  const user = await subject();
  const order: string[] = [];
  const events = service.database.connection.getClient();
  const stored = new Map<number, string>();
  events.on('commandStarted', ({ requestId, commandName, command }) => {
    const isOfJob = command[commandName] === 'jobs';
    if (commandName === 'insert' && command['insert'] === 'audit_events')
      stored.set(requestId, JSON.stringify(command['documents']));
    if (isOfJob && /"checkpoint":1\b/.test(JSON.stringify(command))) order.push('checkpoint');
  });
  events.on('commandSucceeded', ({ requestId }) => {
    if (stored.get(requestId)?.includes('role_set')) order.push('events');
  });
  await imported({ external_id: user.external_id, role: 'support' });
  expect(order).toEqual(['events', 'checkpoint']);
});
