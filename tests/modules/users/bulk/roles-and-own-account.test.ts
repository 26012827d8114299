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

/** What the doors to one user refuse, an import refuses too. */
const ROLES =
  'giver=users:import+users:read+users:send_mail+sessions:read+roles:assign,writer=users:import+users:write';
const HASH = bcrypt.hashSync('the old password', 4);

let service: TestService;
let client: Client;
let admin: string;

beforeAll(async () => {
  service = await startTestService({ ROLES, JOBS_POLL_MS: '50' });
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const users = () => service.database.connection.collection('users');
const stored = (email: string) => users().findOne({ emailKey: email });

async function userWith(role: string) {
  const { user } = await register(client);
  await client('PATCH', `/api/users/${user.id}`, { token: admin, body: { role } });
  return user;
}

async function requesterWith(role: string) {
  const user = await userWith(role);
  return { ...user, token: await login(client, user.email, PASSWORD) };
}

/** The codes of the report. */
async function refusals(token: string, record: object, match = 'email') {
  const path = `/api/users/import?conflict=update&match=${match}`;
  const headers = { 'content-type': 'application/x-ndjson' };
  const raw = `${JSON.stringify(record)}\n`;
  const { status, json } = await client('POST', path, { token, raw, headers });
  expect(status).toBe(202);
  const job = `/api/jobs/${json.id}`;
  await eventually('the end of the job', async () => {
    const { state } = (await client('GET', job, { token: admin })).json;
    return state === 'done';
  });
  const { text } = await client('GET', `${job}/report`, { token: admin });
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line).code);
}

test('an import takes a role away only with the permission to give roles, as PATCH does', async () => {
  const { id, email } = await userWith('writer');
  const { token: writer } = await requesterWith('writer');
  const { token: giver } = await requesterWith('giver');
  const body = { role: 'user' };
  const patched = await client('PATCH', `/api/users/${id}`, { token: writer, body });
  expect([patched.status, patched.json.code]).toEqual([403, 'role_change_forbidden']);
  expect(await refusals(writer, { email, ...body })).toEqual(['role_not_allowed']);
  expect(await stored(email)).toMatchObject({ role: 'writer' });
  // The role that the user has anyway, and that of a new user, need no permission.
  expect(await refusals(writer, { email, role: 'writer', name: 'Other' })).toEqual([]);
  expect(await refusals(writer, { email: uniqueEmail(), ...body })).toEqual([]);
  await client('PATCH', `/api/users/${id}`, { token: admin, body: { role: 'support' } });
  expect(await refusals(giver, { email, ...body })).toEqual([]);
  expect(await stored(email)).toMatchObject({ role: 'user' });
});

describe('the own account goes by the rules of the other doors', () => {
  test('in the changes that an import refuses', async () => {
    const { token, email } = await requesterWith('giver');
    await users().updateOne({ emailKey: email }, { $set: { externalId: email } });
    const rev = (await stored(email))?.['rev'];
    const cases: [object, string][] = [
      [{ status: 'banned' }, 'own_account'],
      [{ password_hash: HASH }, 'own_account'],
      [{ password: 'another long password' }, 'own_account'],
      [{ email_verified: true }, 'own_account'],
      [{ private_metadata: { a: 1 } }, 'member_write_forbidden'],
      [{ private_metadata: {} }, 'member_write_forbidden'],
      [{ app_metadata: { a: 1 } }, 'member_write_forbidden'],
      [{ external_id: null }, 'member_write_forbidden'],
    ];
    for (const [members, code] of cases)
      expect([members, await refusals(token, { email, ...members })]).toEqual([members, [code]]);
    const moved = { external_id: email, email: uniqueEmail() };
    expect(await refusals(token, moved, 'external_id')).toEqual(['email_change_needs_proof']);
    await users().updateOne({ emailKey: email }, { $set: { mustChangePassword: true } });
    const lifted = { email, password_change_required: false };
    expect(await refusals(token, lifted)).toEqual(['own_account']);
    expect((await stored(email))?.['rev']).toBe(rev);
  });

  test('in the changes that it makes', async () => {
    const { token, email } = await requesterWith('giver');
    const members = { name: 'Myself', user_metadata: { a: 1 }, role: 'support' };
    const same = { status: 'active', email_verified: false, external_id: null, app_metadata: {} };
    expect(await refusals(token, { email, ...members, ...same })).toEqual([]);
    expect(await stored(email)).toMatchObject({ name: 'Myself', role: 'support' });
    const { token: writer, email: other } = await requesterWith('writer');
    expect(await refusals(writer, { email: other, app_metadata: { a: 1 } })).toEqual([]);
    expect(await refusals(writer, { email: other, role: 'user' })).toEqual(['role_not_allowed']);
  });
});
