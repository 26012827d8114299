import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
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
import { startTestMongo, type TestMongo } from '../../../support/mongo';

/** An import goes on for minutes, and its requester may be removed, banned or demoted meanwhile. */
const SUPPORT = 'users:read+users:send_mail+sessions:read';
const ROLES = `chief=users:import+users:export+roles:assign+${SUPPORT},clerk=users:import`;
const HASH = bcrypt.hashSync('the old password', 4);

let mongo: TestMongo;
/** Takes files and runs no jobs. */
let host: TestService;
let client: Client;
let admin: string;

beforeAll(async () => {
  mongo = await startTestMongo();
  host = await startTestService({ ROLES, JOBS_RUN: 'false' }, mongo);
  client = createClient(host.baseUrl);
  admin = await login(client, host.admin.email, host.admin.password);
});
afterAll(async () => {
  await host?.close();
  await mongo?.close();
});

const lines = (...records: object[]) => records.map((one) => `${JSON.stringify(one)}\n`).join('');
const users = () => host.database.connection.collection('users');
const stored = (email: string) => users().findOne({ emailKey: email });
const setRole = (id: string, role: string) =>
  client('PATCH', `/api/users/${id}`, { token: admin, body: { role } });

interface Requester {
  readonly id: string;
  readonly token: string;
}

async function chief(): Promise<Requester> {
  const { user } = await register(client);
  await setRole(user.id, 'chief');
  return { id: user.id, token: await login(client, user.email, PASSWORD) };
}

async function serviceAccount(): Promise<Requester> {
  const body = { name: 'Importer', scopes: ['users:import'] };
  const { id, client_secret } = (
    await client('POST', '/api/service-accounts', { token: admin, body })
  ).json;
  const form = { grant_type: 'client_credentials', client_id: id, client_secret };
  const answer = await client('POST', '/api/auth/token', {
    raw: new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  return { id, token: answer.json.access_token };
}

async function sent(token: string, body: string): Promise<string> {
  const headers = { 'content-type': 'application/x-ndjson' };
  const path = '/api/users/import?conflict=update';
  const answer = await client('POST', path, { token, raw: body, headers });
  expect(answer.status).toBe(202);
  return answer.headers.get('location') ?? '';
}

const jobAt = async (path: string) => (await client('GET', path, { token: admin })).json;

async function reportOf(path: string) {
  const { text } = await client('GET', `${path}/report`, { token: admin });
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** Another process does the job meanwhile. */
async function done(path: string, work: () => Promise<unknown> = async () => {}, cost = '4') {
  const settings = { ROLES, JOBS_POLL_MS: '50', BCRYPT_COST: cost };
  const worker = await startTestService(settings, mongo);
  try {
    await work();
    return await eventually('the end of the job', async () => {
      const job = await jobAt(path);
      return !['queued', 'running'].includes(job.state) && job;
    });
  } finally {
    await worker.close();
  }
}

describe('an import whose requester lost the permission sets no password', () => {
  const ban = ({ id }: Requester) =>
    client('POST', `/api/users/${id}/ban`, { token: admin, body: {} });
  const remove = ({ id }: Requester) => client('DELETE', `/api/users/${id}`, { token: admin });
  const revoke = ({ id }: Requester) =>
    client('DELETE', `/api/service-accounts/${id}`, { token: admin });
  const narrow = ({ id }: Requester) =>
    host.database.connection
      .collection<{ _id: string }>('service_accounts')
      .updateOne({ _id: id }, { $set: { scopes: ['users:read'] } });

  test.each<[string, () => Promise<Requester>, (requester: Requester) => Promise<unknown>]>([
    ['banned', chief, ban],
    ['removed', chief, remove],
    ['demoted', chief, ({ id }) => setRole(id, 'support')],
    ['service account revoked', serviceAccount, revoke],
    ['service account narrowed', serviceAccount, narrow],
  ])('%s', async (_name, requester, lose) => {
    const { user } = await register(client);
    const before = await stored(user.email);
    const fresh = uniqueEmail();
    const one = await requester();
    const path = await sent(
      one.token,
      lines({ email: user.email, password_hash: HASH }, { email: fresh }),
    );
    await lose(one);
    const job = await done(path);
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'import_not_permitted' } });
    expect(job.failure.message).toContain('line 1;');
    const report = await reportOf(path);
    expect(report.map(({ line, code }) => [line, code])).toEqual([
      [1, 'import_not_permitted'],
      [2, 'import_not_permitted'],
    ]);
    expect(report[0].record).toEqual({ email: user.email, password_hash: HASH });
    expect((await stored(user.email))?.['passwordHash']).toBe(before?.['passwordHash']);
    expect(await stored(fresh)).toBeNull();
  });
});

test('a requester that lost a part of its permissions keeps to the others', async () => {
  const [protectedUser, plain] = [await register(client), await register(client)];
  await setRole(protectedUser.user.id, 'support');
  const requester = await chief();
  const fresh = uniqueEmail();
  const body = lines(
    { email: protectedUser.user.email, password_hash: HASH },
    { email: fresh, role: 'support' },
    { email: plain.user.email, password_hash: HASH },
  );
  const path = await sent(requester.token, body);
  await setRole(requester.id, 'clerk');
  const job = await done(path);
  expect(job).toMatchObject({ state: 'done', progress: { updated: 1, refused: 2 } });
  expect((await reportOf(path)).map(({ line, code }) => [line, code])).toEqual([
    [1, 'user_protected'],
    [2, 'role_not_allowed'],
  ]);
  expect((await stored(protectedUser.user.email))?.['passwordHash']).not.toBe(HASH);
  expect(await stored(fresh)).toBeNull();
});

test('more permissions than at the request are not used', async () => {
  const { user } = await register(client);
  await setRole(user.id, 'clerk');
  const token = await login(client, user.email, PASSWORD);
  const path = await sent(token, lines({ email: uniqueEmail(), role: 'support' }));
  await setRole(user.id, 'chief');
  await done(path);
  expect((await reportOf(path)).map(({ code }) => code)).toEqual(['role_not_allowed']);
});

test('a ban in the midst of an import stops it at its next part; the parts before it stay', async () => {
  const requester = await chief();
  const emails = Array.from({ length: 1500 }, () => uniqueEmail());
  const records = emails.map((email) => ({ email, password: PASSWORD }));
  const path = await sent(requester.token, lines(...records));
  const ban = async () => {
    await eventually('a part', async () => (await jobAt(path)).progress.done > 0);
    await client('POST', `/api/users/${requester.id}/ban`, { token: admin, body: {} });
  };
  const job = await done(path, ban, '5');
  expect(job).toMatchObject({ state: 'failed', failure: { code: 'import_not_permitted' } });
  const { created, refused } = job.progress;
  expect(created % 500).toBe(0);
  expect([500, 1000]).toContain(created);
  expect(refused).toBe(500);
  expect(job.failure.message).toContain(`line ${created + 1};`);
  expect(await users().countDocuments({ emailKey: { $in: emails } })).toBe(created);
});

test('an export breaks off when its requester is banned', async () => {
  const requester = await chief();
  const { user } = await register(client);
  const { _id, ...like } = (await stored(user.email)) ?? {};
  const note = 'x'.repeat(8000);
  // Far more than what fits between the two ends of a connection.
  for (let n = 0; n < 10; n += 1)
    await users().insertMany(
      Array.from({ length: 250 }, () => {
        const email = uniqueEmail();
        return { ...like, email, emailKey: email, privateMetadata: { note } };
      }),
    );
  const headers = { authorization: `Bearer ${requester.token}` };
  const request = get(`${host.baseUrl}/api/users/export`, { headers });
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  expect(answer.statusCode).toBe(200);
  await client('POST', `/api/users/${requester.id}/ban`, { token: admin, body: {} });
  await expect(bytesOf(answer)).rejects.toThrow('aborted');
});

async function bytesOf(answer: IncomingMessage): Promise<number> {
  let size = 0;
  for await (const bytes of answer) size += (bytes as Buffer).length;
  return size;
}
