import { startTestService, type TestService } from '../../../support/app';
import { addTotp, laterOn, verify } from '../../../support/factors';
import {
  CLIENT,
  callbackOf,
  createFront,
  federationSettings,
  PAGE,
} from '../../../support/federation';
import {
  type Answer,
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';
import { startTestProvider, type TestProvider } from '../../../support/oidc-provider';
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';

let smtp: TestSmtp;
let mongo: TestMongo;
let example: TestProvider;
/** Its ID tokens have the claims, and it names no verified address. */
let company: TestProvider;
let service: TestService;
/** Another host of the same deployment; it creates no accounts. */
let other: TestService;
let client: Client;
let admin: string;

beforeAll(async () => {
  smtp = await startTestSmtp();
  mongo = await startTestMongo();
  example = await startTestProvider({ ...CLIENT, redirectUri: callbackOf('example') });
  company = await startTestProvider({
    ...{ ...CLIENT, redirectUri: callbackOf('company') },
    claimsIn: 'id_token',
  });
  const issuers = { example: example.issuer, company: company.issuer };
  const settings = federationSettings(issuers, { company: { trust_email: true } });
  service = await startTestService({ ...settings, SMTP_URL: smtp.url }, mongo);
  other = await startTestService({ ...settings, OIDC_CREATE_ACCOUNTS: 'false' }, mongo);
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
});
afterAll(async () => {
  await other?.close();
  await service?.close();
  await example?.close();
  await company?.close();
  await mongo?.close();
  await smtp?.close();
});

const front = () => createFront(client);
const outcome = ({ status, json }: Answer) => [status, json?.code];
const claimsIn = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
let people = 0;
async function become(claims: object = {}, provider = example, refuses = false) {
  people += 1;
  const [sub, email] = [`sub-${people}`, uniqueEmail('federated')];
  const all = { email, email_verified: true, name: 'Grace Hopper', ...claims };
  await provider.become({ sub, claims: all, refuses });
  return {
    sub,
    email,
    again: (changed: object) => provider.become({ sub, claims: changed as never }),
  };
}
const audited = (subject: string, type: string) =>
  eventually(`an audit event ${type}`, async () => {
    const path = `/api/audit-events?subject=${subject}&type=${type}`;
    const { json } = await client('GET', path, { token: admin });
    return json.data.length > 0 ? json.data : undefined;
  });
const identities = () => service.database.connection.collection('identities');

describe('a new user of a provider', () => {
  test('gets an account with the verified address and a session', async () => {
    const from = smtp.mails.length;
    const { email } = await become();
    const { status, json } = await front().whole('example');
    expect(status).toBe(200);
    expect(json.user).toMatchObject({
      ...{ email, email_verified: true, name: 'Grace Hopper', role: 'user' },
    });
    expect(claimsIn(json.access_token)).toMatchObject({ amr: ['fed'], acr: 'aal1' });
    const profile = await client('GET', '/api/auth/profile', { token: json.access_token });
    expect(profile.json.id).toBe(json.user.id);
    expect((await audited(json.user.id, 'registered'))[0]).toMatchObject({ actor: json.user.id });
    expect(smtp.mails.slice(from).map(({ to }) => to[0])).not.toContain(email);
  });

  test('is asked for a factor once it has one', async () => {
    await become();
    const first = await front().whole('example');
    const { app } = await addTotp(client, first.json.access_token);
    await laterOn(service, first.json.user.id);
    const { status, json } = await front().whole('example');
    expect([status, json.mfa_required, json.access_token]).toEqual([200, true, undefined]);
    const opened = await verify(client, json.mfa_token, app());
    expect(claimsIn(opened.json.access_token)).toMatchObject({ amr: ['fed', 'otp', 'mfa'] });
  });

  test('is named after the address where the name of the provider may be none here', async () => {
    await become({ name: '\u202eevil' });
    const { json } = await front().whole('example');
    expect(json.user.name).toMatch(/^federated-/);
  });

  test('gets none without an address that the provider has verified', async () => {
    const unverified = await become({ email_verified: false });
    expect(outcome(await front().whole('example'))).toEqual([403, 'provider_email_unverified']);
    await become({ email: undefined });
    expect(outcome(await front().whole('example'))).toEqual([403, 'provider_email_unverified']);
    expect(await identities().countDocuments({ subject: unverified.sub })).toBe(0);
  });

  test('gets one with an unverified address where the settings trust the provider', async () => {
    const { email } = await become({ email_verified: undefined }, company);
    const { json } = await front().whole('company');
    expect(json.user).toMatchObject({ email, email_verified: true });
  });

  test.each([false, 'false', null])(
    'gets none where a trusted provider says email_verified: %p',
    async (email_verified) => {
      await become({ email_verified }, company);
      const refused = await front().whole('company');
      expect(outcome(refused)).toEqual([403, 'provider_email_unverified']);
    },
  );

  test('gets none where the settings create none', async () => {
    await become();
    const there = createFront(createClient(other.baseUrl));
    expect(outcome(await there.whole('example'))).toEqual([403, 'account_creation_disabled']);
  });

  async function createAtOnce(hosts: readonly [TestService, TestService]): Promise<void> {
    const { email, sub } = await become();
    const fronts = [...hosts, ...hosts].map(({ baseUrl }) => createFront(createClient(baseUrl)));
    const backs = await Promise.all(fronts.map((one) => one.signIn('example')));
    const answers = await Promise.all(
      fronts.map((one, i) => one.redeem(backs[i] as (typeof backs)[number])),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(new Set(answers.map(({ json }) => json.user.id)).size).toBe(1);
    expect(await identities().countDocuments({ subject: sub })).toBe(1);
    const users = service.database.connection.collection('users');
    expect(await users.countDocuments({ emailKey: email })).toBe(1);
    const audit = service.database.connection.collection('audit_events');
    const subject = answers[0]?.json.user.id;
    const all = { subject, type: { $in: ['registered', 'login'] } };
    await eventually('an audit event of each', async () => {
      return (await audit.countDocuments(all)) === answers.length;
    });
    expect(await audit.countDocuments({ type: 'registered', subject })).toBe(1);
  }

  test('gets one account, however many hosts create it at once', async () => {
    const second = await startTestService(federationSettings({ example: example.issuer }), mongo);
    try {
      // One of them may look for the identity before, and for the address after another's creation.
      for (let round = 0; round < 8; round += 1) await createAtOnce([service, second]);
    } finally {
      await second.close();
    }
  });

  test('completes an account whose creation a crash has interrupted', async () => {
    const { sub, email } = await become();
    const userId = '652f1c3e9b1d4a0012ab34ce';
    await identities().insertOne({
      ...{ _id: '652f1c3e9b1d4a0012ab34cf' as never, issuer: example.issuer, subject: sub },
      ...{ provider: 'example', userId, email, isReserved: true, createdAt: new Date() },
    });
    const { json } = await front().whole('example');
    expect(json.user).toMatchObject({ id: userId, email });
  });

  test('asks for the factor of an account that a crash has left with its identity reserved', async () => {
    await become();
    const { json } = await front().whole('example');
    const userId = json.user.id as string;
    // As a worker leaves it that dies after it created the account.
    await identities().updateOne({ userId }, { $set: { isReserved: true } });
    const factors = service.database.connection.collection('factors');
    const row = { userId, kind: 'totp', name: 'Phone', lastStep: 0, confirmedAt: new Date() };
    await factors.insertOne({ ...row, _id: '652f1c3e9b1d4a0012ab34d0' as never });
    const again = await front().whole('example');
    expect(again.json).toMatchObject({ mfa_required: true, factors: ['totp'] });
  });
});

describe('a known user of a provider', () => {
  test('signs in to the same account, also with another address there', async () => {
    const person = await become();
    const first = await front().whole('example');
    await person.again({ email: uniqueEmail(), email_verified: false, name: 'Another' });
    const second = await front().whole('example');
    expect(second.json.user.id).toBe(first.json.user.id);
    expect(second.json.user.email).toBe(person.email);
    expect(await audited(first.json.user.id, 'login')).toHaveLength(1);
  });

  test('is another one at another provider', async () => {
    const person = await become();
    const first = await front().whole('example');
    await company.become({ sub: person.sub, claims: { email: uniqueEmail() } });
    const second = await front().whole('company');
    expect(second.json.user.id).not.toBe(first.json.user.id);
  });

  test('with the subject changed is a stranger to the account', async () => {
    const person = await become();
    await front().whole('example');
    await become({ email: person.email });
    expect(outcome(await front().whole('example'))).toEqual([409, 'account_exists']);
  });

  test('does not sign in to a banned account', async () => {
    await become();
    const { json } = await front().whole('example');
    const path = `/api/users/${json.user.id}`;
    await client('POST', `${path}/ban`, { token: admin, body: { reason: 'spam' } });
    expect(outcome(await front().whole('example'))).toEqual([409, 'account_banned']);
    await client('POST', `${path}/unban`, { token: admin });
    expect((await front().whole('example')).status).toBe(200);
  });

  test('must replace a password that an administrator has had enough of', async () => {
    await become();
    const { json } = await front().whole('example');
    const path = `/api/users/${json.user.id}/require-password-change`;
    await client('POST', path, { token: admin, body: {} });
    const asked = await front().whole('example');
    expect(outcome(asked)).toEqual([403, 'password_change_required']);
    const replaced = await client('POST', '/api/auth/password/required', {
      body: { token: asked.json.password_change_token, new_password: PASSWORD },
    });
    expect(replaced.status).toBe(200);
    expect((await front().whole('example')).status).toBe(200);
  });

  test('whose account was removed gets a new one', async () => {
    await become();
    const first = await front().whole('example');
    await client('DELETE', '/api/users/me', { token: first.json.access_token });
    const second = await front().whole('example');
    expect(second.status).toBe(200);
    expect(second.json.user.id).not.toBe(first.json.user.id);
  });
});

test('an address that has an account is never linked by itself', async () => {
  const { user } = await register(client);
  const { sub } = await become({ email: user.email.toUpperCase() });
  expect(outcome(await front().whole('example'))).toEqual([409, 'account_exists']);
  expect(await identities().countDocuments({ subject: sub })).toBe(0);
  expect(await login(client, user.email, PASSWORD)).toMatch(/^ey/);
});

test('a user who refuses at the provider comes back to the page with an error', async () => {
  await become({}, example, true);
  const { url } = await front().signIn('example');
  expect(url.href).toBe(`${PAGE}?error=oidc_refused`);
});

test('the providers are listed by id and name, without their secrets', async () => {
  const { json } = await client('GET', '/api/auth/oidc');
  expect(json).toEqual({
    data: [
      { id: 'example', name: 'The provider example' },
      { id: 'company', name: 'The provider company' },
    ],
  });
});

test('the stored identity is exported to the user, and goes with the account', async () => {
  const { sub, email } = await become();
  const { json } = await front().whole('example');
  const token = json.access_token as string;
  const exported = await client('GET', '/api/users/me/export', { token });
  expect(exported.json.identities).toEqual([
    expect.objectContaining({ provider: 'example', issuer: example.issuer, subject: sub, email }),
  ]);
  await client('DELETE', '/api/users/me', { token });
  await eventually(
    'the purge',
    async () => (await identities().countDocuments({ subject: sub })) === 0,
  );
});
