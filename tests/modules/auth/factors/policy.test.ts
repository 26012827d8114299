import { startTestService, type TestService } from '../../../support/app';
import {
  addTotp,
  appOf,
  claimsIn,
  firstStep,
  laterOn,
  signIn,
  verify,
  withTotp,
} from '../../../support/factors';
import { type Client, createClient, PASSWORD, register, uniqueEmail } from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

/** Hosts on one database, with the rules that their names say. */
let mongo: TestMongo;
let hosts: Record<'optional' | 'required' | 'off', TestService>;
let clients: Record<keyof typeof hosts, Client>;
beforeAll(async () => {
  mongo = await startTestMongo();
  const start = (MFA_POLICY: string) => startTestService({ MFA_POLICY }, mongo);
  hosts = {
    optional: await start('optional'),
    required: await start('required,support=optional'),
    off: await start('off'),
  };
  clients = {
    optional: createClient(hosts.optional.baseUrl),
    required: createClient(hosts.required.baseUrl),
    off: createClient(hosts.off.baseUrl),
  };
});
afterAll(async () => {
  for (const host of Object.values(hosts ?? {})) await host.close();
  await mongo?.close();
});

const enrolWith = (client: Client, mfa_token: string) =>
  client('POST', '/api/auth/mfa/totp', { body: { mfa_token, name: 'Phone' } });

test('required: a sign-in without a factor sets one up, and then opens the session', async () => {
  const client = clients.required;
  const { user } = await register(clients.optional);
  const asked = await signIn(client, user.email);
  expect(asked.json).toMatchObject({ mfa_required: true, factors: [], enrollable: ['totp'] });
  const { mfa_token } = asked.json;
  expect((await verify(client, mfa_token, '000000')).json.errors[0].code).toBe('wrong_code');
  const enrolment = await enrolWith(client, mfa_token);
  expect(enrolment.status).toBe(201);
  const app = appOf(enrolment.json.otpauth_uri);
  const done = await verify(client, mfa_token, app());
  expect([done.status, done.json.recovery_codes.length]).toEqual([200, 10]);
  expect(claimsIn(done.json.access_token)).toMatchObject({ amr: ['pwd', 'otp', 'mfa'] });
  expect((await verify(client, mfa_token, app(1))).json.code).toBe('invalid_mfa_token');
  // It is the last one, and the account needs one.
  const path = `/api/auth/factors/${enrolment.json.id}`;
  const last = await client('DELETE', path, { token: done.json.access_token });
  expect([last.status, last.json.code]).toEqual([409, 'factor_required']);
});

test('required: of two removals at once, one leaves the last factor', async () => {
  for (let round = 0; round < 5; round += 1) {
    const first = await withTotp(hosts.optional, clients.optional);
    const { token, factorId } = await addTotp(clients.optional, first.token);
    const answers = await Promise.all(
      [first.factorId, factorId].map((id) =>
        clients.required('DELETE', `/api/auth/factors/${id}`, { token }),
      ),
    );
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
    const { json } = await clients.required('GET', '/api/auth/factors', { token });
    const left = (json.data as { kind: string }[]).filter(({ kind }) => kind === 'totp');
    expect(left).toHaveLength(1);
  }
});

test('required: a registration sets a factor up before the first session', async () => {
  const client = clients.required;
  const email = uniqueEmail();
  const body = { name: 'Ada', email, password: PASSWORD };
  const registered = await client('POST', '/api/auth/register', { body });
  expect([registered.status, registered.json.mfa_required]).toEqual([200, true]);
  expect(registered.json).not.toHaveProperty('access_token');
  const { mfa_token } = registered.json;
  const enrolment = await enrolWith(client, mfa_token);
  const done = await verify(client, mfa_token, appOf(enrolment.json.otpauth_uri)());
  expect(registered.headers.get('location')).toBe(`/api/users/${done.json.user.id}`);
});

test('required: a second sign-in cannot add its own first factor beside that of the owner', async () => {
  const client = clients.required;
  const { user, access_token } = await register(clients.optional);
  const thief = await firstStep(client, user.email);
  const owner = await firstStep(client, user.email);
  const late = await enrolWith(client, owner);
  const app = appOf(late.json.otpauth_uri);
  expect((await verify(client, owner, app())).status).toBe(200);
  expect((await enrolWith(client, thief)).json.code).toBe('invalid_mfa_token');
  expect((await verify(client, thief, app(1))).json.code).toBe('invalid_mfa_token');
  expect(access_token).not.toBe('');
});

test('a role may have a rule of its own', async () => {
  const { user } = await register(clients.optional);
  const connection = hosts.required.database.connection;
  const { ObjectId } = (await import('mongoose')).mongo;
  await connection
    .collection('users')
    .updateOne({ _id: new ObjectId(user.id) }, { $set: { role: 'support' } });
  expect((await signIn(clients.required, user.email)).json).toHaveProperty('access_token');
});

test('off: no factor is asked, and none can be added', async () => {
  const client = clients.off;
  const { user, access_token } = await register(clients.optional);
  await addTotp(clients.optional, access_token);
  const { json } = await signIn(client, user.email);
  expect(claimsIn(json.access_token)).toMatchObject({ amr: ['pwd'], acr: 'aal1' });
  const token = json.access_token;
  const refused = await client('POST', '/api/auth/factors/totp', { token, body: {} });
  expect([refused.status, refused.json.code]).toEqual([403, 'mfa_disabled']);
  const listed = await client('GET', '/api/auth/factors', { token });
  expect([listed.json.policy, listed.json.data.length]).toEqual(['off', 2]);
  expect((await signIn(clients.optional, user.email)).json.mfa_required).toBe(true);
  // A recent login is not enough where the factor counts (planted: any recent login).
  const id = listed.json.data[0].id;
  const removal = await clients.optional('DELETE', `/api/auth/factors/${id}`, { token });
  expect([removal.status, removal.json.code]).toEqual([401, 'insufficient_user_authentication']);
  expect(removal.headers.get('www-authenticate')).toContain('acr_values="aal2"');
});

test('off: a factor that counts elsewhere is asked of an administrator who resets those of others', async () => {
  const client = clients.optional;
  const lost = await withTotp(hosts.optional, client);
  const chief = await withTotp(hosts.optional, client);
  const { email, password } = hosts.optional.admin;
  const root = (await signIn(client, email, password)).json.access_token;
  const promotion = { token: root, body: { role: 'admin' } };
  expect((await client('PATCH', `/api/users/${chief.id}`, promotion)).status).toBe(200);
  const path = `/api/users/${lost.id}/factors`;
  // A recent login is not enough (planted: any recent login).
  const byPassword = (await signIn(clients.off, chief.email)).json.access_token;
  const refused = await client('DELETE', path, { token: byPassword });
  expect([refused.status, refused.json.code]).toEqual([401, 'insufficient_user_authentication']);
  expect(refused.headers.get('www-authenticate')).toContain('acr_values="aal2"');
  const body = { factor: 'totp', code: chief.app() };
  const steppedUp = await client('POST', '/api/auth/mfa/step-up', { token: byPassword, body });
  const token = steppedUp.json.access_token;
  expect((await client('DELETE', path, { token })).status).toBe(204);
});

test('a factor outlives a change of the secret if it was used; one that cannot be decrypted is refused', async () => {
  const [first, second] = ['1vQx7Rm2Zp9Lk4Wd8Tn3Hs6Yb0Gc5Jf=', '8bTn3Hs6Yb0Gc5JfKq1vQx7Rm2Zp9Lk4='];
  const start = (env: Record<string, string>) =>
    startTestService({ JWT_SECRET: '', ...env }, database);
  const database = await startTestMongo();
  const before = await start({ KEY_ENCRYPTION_SECRET: first });
  const { email, id, app } = await withTotp(before, createClient(before.baseUrl));
  const other = await withTotp(before, createClient(before.baseUrl));
  await before.close();
  const during = await start({
    ...{ KEY_ENCRYPTION_SECRET: second, KEY_ENCRYPTION_SECRET_PREVIOUS: first },
  });
  const both = createClient(during.baseUrl);
  expect((await verify(both, await firstStep(both, email), app())).status).toBe(200);
  await laterOn(during, id);
  await during.close();
  const after = await start({ KEY_ENCRYPTION_SECRET: second });
  const client = createClient(after.baseUrl);
  expect((await verify(client, await firstStep(client, email), app())).status).toBe(200);
  const refused = await verify(client, await firstStep(client, other.email), other.app());
  expect(refused.json.errors[0].code).toBe('wrong_code');
  await after.close();
  await database.close();
});
