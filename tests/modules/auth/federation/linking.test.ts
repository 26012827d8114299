import { setTimeout as pause } from 'node:timers/promises';
import {
  createIdentities,
  type Identity,
} from '../../../../src/modules/auth/federation/identities';
import {
  createLinking,
  type LinkingDependencies,
} from '../../../../src/modules/auth/federation/linking';
import { NO_CLIENT } from '../../../../src/platform/http/client-info';
import { createLocks, type Locks } from '../../../../src/platform/mongo/locks';
import { startTestService, type TestService } from '../../../support/app';
import { claimsIn } from '../../../support/factors';
import {
  CLIENT,
  callbackOf,
  createFront,
  federationSettings,
  PAGE,
  PUBLIC_URL,
  sha256,
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
let service: TestService;
let host: TestService;
let client: Client;
const ROUNDS = 12;
let people = 0;

beforeAll(async () => {
  smtp = await startTestSmtp();
  mongo = await startTestMongo();
  example = await startTestProvider({ ...CLIENT, redirectUri: callbackOf('example') });
  const settings = { ...federationSettings({ example: example.issuer }), SMTP_URL: smtp.url };
  service = await startTestService(settings, mongo);
  host = await startTestService(settings, mongo);
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await host?.close();
  await service?.close();
  await example?.close();
  await mongo?.close();
  await smtp?.close();
});

const outcome = ({ status, json }: Answer) => [status, json?.code];
const front = () => createFront(client);
const collection = (name: string) => service.database.connection.collection(name);

async function become(claims: object = {}) {
  people += 1;
  const sub = `sub-${people}`;
  const email = uniqueEmail('there');
  await example.become({ sub, claims: { email, email_verified: true, ...claims } });
  return { sub, email };
}
/** A user with a password, whose address is verified. */
async function owner() {
  const { user, access_token: token } = await register(client);
  await collection('users').updateOne({ emailKey: user.email }, { $set: { emailVerified: true } });
  return { ...user, token: await login(client, user.email, PASSWORD), first: token };
}
const identitiesOf = async (token: string) =>
  (await client('GET', '/api/auth/identities', { token })).json.data as { id: string }[];
const unlink = (token: string, id: string | undefined, from = client) =>
  from('DELETE', `/api/auth/identities/${id}`, { token });

test('an owner links an identity, which then signs in to the account', async () => {
  const ada = await owner();
  const { email } = await become({ email_verified: false });
  const linked = await front().link('example', ada.token);
  expect(linked.status).toBe(201);
  expect(linked.json).toMatchObject({ provider: 'example', email, last_used_at: null });
  expect((await front().whole('example')).json.user.id).toBe(ada.id);
  expect(await identitiesOf(ada.token)).toHaveLength(1);
  const mail = await smtp.waitFor(ada.email, /sign-in was added/);
  expect(mail.text).toContain('The provider example can now be used');
  const admin = await login(client, service.admin.email, service.admin.password);
  const path = `/api/audit-events?subject=${ada.id}&type=identity_linked`;
  await eventually('the audit event', async () => {
    const { json } = await client('GET', path, { token: admin });
    return json.data.length === 1 && json.data[0].actor === ada.id;
  });
  expect((await front().link('example', ada.token)).json.id).toBe(linked.json.id);
});

test('nothing is linked to an account whose address is not verified', async () => {
  const { user, access_token: token } = await register(client);
  await become();
  const begin = await client('POST', '/api/auth/identities/example/link', {
    ...{ token, body: { redirect_to: PAGE, code_challenge: sha256('x') } },
  });
  expect(outcome(begin)).toEqual([403, 'email_not_verified']);
  // The address changed between the two ends.
  await collection('users').updateOne({ emailKey: user.email }, { $set: { emailVerified: true } });
  const mine = front();
  const { url } = await mine.beginLink('example', token);
  await collection('users').updateOne({ emailKey: user.email }, { $set: { emailVerified: false } });
  const body = { code: url.searchParams.get('code'), code_verifier: mine.verifier };
  const end = await client('POST', '/api/auth/identities', { token, body });
  expect(outcome(end)).toEqual([403, 'email_not_verified']);
  expect(await collection('identities').countDocuments({ userId: user.id })).toBe(0);
});

test('a link needs a recent login at both ends', async () => {
  const ada = await owner();
  await become();
  const mine = front();
  const { url } = await mine.beginLink('example', ada.token);
  await collection('sessions').updateMany(
    { userId: ada.id },
    { $set: { createdAt: new Date(Date.now() - 86_400_000) }, $unset: { authenticatedAt: 1 } },
  );
  const body = { code: url.searchParams.get('code'), code_verifier: mine.verifier };
  const old = [401, 'insufficient_user_authentication'];
  const { token } = ada;
  expect(outcome(await client('POST', '/api/auth/identities', { token, body }))).toEqual(old);
  const begin = { redirect_to: PAGE, code_challenge: sha256('x') };
  const path = '/api/auth/identities/example/link';
  expect(outcome(await client('POST', path, { token, body: begin }))).toEqual(old);
  expect(outcome(await unlink(token, '652f1c3e9b1d4a0012ab34cd'))).toEqual(old);
});

test('the code of a link is for the session that began it, and signs nobody in', async () => {
  const [ada, eve] = [await owner(), await owner()];
  await become();
  const mine = front();
  const back = await mine.beginLink('example', ada.token);
  const body = { code: back.url.searchParams.get('code'), code_verifier: mine.verifier };
  const wrong = [400, 'invalid_provider_code'];
  const end = (token: string) => client('POST', '/api/auth/identities', { token, body });
  expect(outcome(await end(eve.token))).toEqual(wrong);
  // The first caller uses it up: the owner begins anew.
  expect(outcome(await end(ada.token))).toEqual(wrong);
  for (const attempt of ['another session', 'a sign-in'] as const) {
    const { redeem, beginLink, verifier } = front();
    const next = await beginLink('example', ada.token);
    const code = next.url.searchParams.get('code');
    const posted = { code, code_verifier: verifier };
    const post = (token: string) => client('POST', '/api/auth/identities', { token, body: posted });
    const refused = attempt === 'a sign-in' ? redeem(next) : post(ada.first);
    expect(outcome(await refused)).toEqual(wrong);
    expect(outcome(await post(ada.token))).toEqual(wrong);
  }
  expect((await front().link('example', ada.token)).status).toBe(201);
});

test('the code of a sign-in links nothing, and a ticket works once', async () => {
  const ada = await owner();
  await become();
  const mine = front();
  const back = await mine.signIn('example');
  const body = { code: back.url.searchParams.get('code'), code_verifier: mine.verifier };
  const end = await client('POST', '/api/auth/identities', { token: ada.token, body });
  expect(outcome(end)).toEqual([400, 'invalid_provider_code']);
  const { json } = await client('POST', '/api/auth/identities/example/link', {
    ...{ token: ada.token, body: { redirect_to: PAGE, code_challenge: sha256('x') } },
  });
  const { pathname, search } = new URL(json.url);
  expect((await client('GET', pathname + search)).status).toBe(303);
  const again = await client('GET', pathname + search);
  expect(outcome(again)).toEqual([400, 'invalid_sign_in_attempt']);
});

test('an identity belongs to one account', async () => {
  const [ada, eve] = [await owner(), await owner()];
  await become();
  expect((await front().link('example', ada.token)).status).toBe(201);
  expect(outcome(await front().link('example', eve.token))).toEqual([409, 'identity_taken']);
});

test('an identity whose account was never created is linked to the account of its address', async () => {
  const { sub, email } = await become();
  // As a worker leaves it that dies before it creates the account.
  const row = { issuer: example.issuer, subject: sub, provider: 'example', email };
  const reserved = { ...row, userId: '652f1c3e9b1d4a0012ab34ce', isReserved: true };
  const insert = (ageMs: number) =>
    collection('identities').insertOne({ ...reserved, createdAt: new Date(Date.now() - ageMs) });
  await insert(0);
  const { access_token: token } = await register(client, { email });
  expect(outcome(await front().whole('example'))).toEqual([409, 'account_exists']);
  // Nothing is left of it; a sign-in that was under way may leave it again.
  expect(await collection('identities').countDocuments({ subject: sub })).toBe(0);
  await insert(0);
  await collection('users').updateOne({ emailKey: email }, { $set: { emailVerified: true } });
  // Its account may still come.
  expect(outcome(await front().link('example', token))).toEqual([409, 'identity_taken']);
  await collection('identities').deleteMany({ subject: sub });
  await insert(120_000);
  expect((await front().link('example', token)).status).toBe(201);
  expect((await front().whole('example')).json.user.email).toBe(email);
});

/** An account with one identity, whose unlink runs under these locks. */
async function unlinkUnder(locks: (of: Locks) => Partial<Locks>) {
  const { connection } = service.database;
  const identities = createIdentities(connection, { timeoutMs: 2000, now: Date.now });
  const userId = '0123456789abcdef01234568';
  const subject = { issuer: 'https://one.example.org', subject: 'of an unlink' };
  const linked = await identities.insert({ ...subject, provider: 'example', userId, email: null });
  const told: string[] = [];
  const linking = createLinking({
    emit: (name: string) => told.push(name),
    users: { credentialsById: async () => null },
    identities,
    sessions: { endOthers: () => pause(20) },
    locks: locks(createLocks(connection, { ttlMs: 1, timeoutMs: 2000 })),
    works: () => true,
    hasOtherSignIn: async () => true,
  } as never as LinkingDependencies);
  const unlinking = linking.unlink({ userId, sid: 'a', ver: 0 }, linked?.id ?? '', NO_CLIENT);
  const refused = await unlinking.catch((error: unknown) => error);
  const left = await identities.ofUser(userId);
  await identities.forget(userId);
  return { refused, left, told };
}

test('an unlink whose lock expires removes nothing, and says so', async () => {
  const { refused, left, told } = await unlinkUnder((locks) => locks);
  expect(refused).toMatchObject({ status: 503, code: 'busy' });
  expect([left.length, told]).toEqual([1, []]);
});

test('an unlink is told before anything that a host may not live to do (planted: after the lock)', async () => {
  const { left, told } = await unlinkUnder(() => ({
    withLock: async (_name, work) => {
      await work(new Date(Date.now() + 60_000));
      throw new Error('stopped');
    },
  }));
  expect([left.length, told]).toEqual([0, ['IdentityUnlinked']]);
});

test('the owner unlinks: every other session ends, the identity signs in no longer', async () => {
  const ada = await owner();
  await become({ email: ada.email });
  await front().link('example', ada.token);
  const federated = (await front().whole('example')).json.access_token;
  const [one] = await identitiesOf(ada.token);
  const eve = await owner();
  expect(outcome(await unlink(eve.token, one?.id))).toEqual([404, 'identity_not_found']);
  expect((await unlink(ada.token, one?.id)).status).toBe(204);
  expect((await client('GET', '/api/auth/profile', { token: federated })).status).toBe(401);
  expect((await client('GET', '/api/auth/profile', { token: ada.token })).status).toBe(200);
  expect(outcome(await front().whole('example'))).toEqual([409, 'account_exists']);
  expect((await smtp.waitFor(ada.email, /sign-in was removed/)).text).toContain('no longer');
  const admin = await login(client, service.admin.email, service.admin.password);
  const path = `/api/audit-events?subject=${ada.id}&type=identity_unlinked`;
  await eventually('the audit event', async () => {
    const { json } = await client('GET', path, { token: admin });
    return json.data.length === 1 && json.data[0].actor === ada.id;
  });
});

/**
 * While `work` runs, the database refuses to end the others than this session: it is kept already.
 */
async function withoutEnds<T>(token: string, work: () => Promise<T>): Promise<T> {
  const users = collection('users');
  const sid = claimsIn(token)['sid'];
  const { insertedId: _id } = await users.insertOne({ keptSession: { sid } });
  const index = await users.createIndex(
    { 'keptSession.sid': 1 },
    { unique: true, partialFilterExpression: { 'keptSession.sid': sid } },
  );
  try {
    return await work();
  } finally {
    await users.dropIndex(index);
    await users.deleteOne({ _id });
  }
}

test('an identity stays where the other sessions cannot be ended', async () => {
  const ada = await owner();
  await become({ email: ada.email });
  await front().link('example', ada.token);
  const [one] = await identitiesOf(ada.token);
  await withoutEnds(ada.token, () =>
    expect(unlink(ada.token, one?.id)).rejects.toThrow('internal error'),
  );
  expect(await identitiesOf(ada.token)).toHaveLength(1);
  expect((await unlink(ada.token, one?.id)).status).toBe(204);
});

test('the repeat of an unlink that stopped after the removal ends the other sessions', async () => {
  const ada = await owner();
  await become({ email: ada.email });
  await front().link('example', ada.token);
  const federated = (await front().whole('example')).json.access_token;
  const [one] = await identitiesOf(ada.token);
  await collection('identities').deleteMany({ userId: ada.id });
  expect(outcome(await unlink(ada.token, one?.id))).toEqual([404, 'identity_not_found']);
  expect((await client('GET', '/api/auth/profile', { token: federated })).status).toBe(401);
  expect((await client('GET', '/api/auth/profile', { token: ada.token })).status).toBe(200);
});

test('a link whose session ends after its insert links nothing', async () => {
  const { connection } = service.database;
  const identities = createIdentities(connection, { timeoutMs: 2000, now: Date.now });
  const userId = '0123456789abcdef01234567';
  let stands = true;
  const account = { emailVerified: true } as never;
  const claims = { issuer: 'https://one.example.org', subject: 'of a link', email: null };
  const journey = { provider: 'example', redirectTo: PAGE, challenge: sha256('verifier') };
  const linking = createLinking({
    emit: () => undefined,
    users: {
      credentialsById: async () => account,
      stored: async () => account,
      sessionStands: () => stands,
    },
    identities: {
      ...identities,
      insert: async (identity: Identity) => {
        const inserted = await identities.insert(identity);
        stands = false;
        return inserted;
      },
    },
    steps: { take: async () => ({ ...journey, claims, link: { userId, sid: 'a' } }) },
    works: () => true,
    hasOtherSignIn: async () => false,
  } as never as LinkingDependencies);
  const link = linking.link({ userId, sid: 'a', ver: 0 }, 'code', 'verifier', NO_CLIENT);
  await expect(link).rejects.toMatchObject({ code: 'invalid_token' });
  expect(await collection('identities').countDocuments({ userId })).toBe(0);
});

test('ways to sign in that the settings do not have any more do not count', async () => {
  await become();
  const { json } = await front().whole('example');
  const [token, userId] = [json.access_token as string, json.user.id as string];
  const [one] = await identitiesOf(token);
  const { _id, ...row } = (await collection('identities').findOne({ userId })) ?? {};
  // Of a provider that was removed, and of one that has another issuer now.
  for (const [provider, subject] of [
    ['removed', 'one'],
    ['example', 'two'],
  ])
    await collection('identities').insertOne({
      ...{ ...row, _id: `${subject} ${_id}` as never, provider, subject },
      issuer: 'https://gone.example.org',
    });
  expect(outcome(await unlink(token, one?.id))).toEqual([409, 'last_sign_in_method']);
  await become();
  expect((await front().link('example', token)).status).toBe(201);
  expect((await unlink(token, one?.id)).status).toBe(204);
});

test('nor do passkeys, where the service has no RP ID', async () => {
  const issuer = { TOKEN_ISSUER: PUBLIC_URL };
  const settings = federationSettings({ example: example.issuer });
  const ofAddress = { ...settings, ...issuer, PUBLIC_URL: 'https://203.0.113.7' };
  const without = await startTestService(ofAddress, mongo);
  try {
    await become();
    const { json } = await front().whole('example');
    const token = json.access_token as string;
    await collection('passkeys').insertOne({
      ...{ _id: json.user.id, handle: 'a handle' },
      passkeys: [{ id: 'a', credentialId: json.user.id, isDiscoverable: true }],
    });
    const [one] = await identitiesOf(token);
    const there = createClient(without.baseUrl);
    expect(outcome(await unlink(token, one?.id, there))).toEqual([409, 'last_sign_in_method']);
    expect((await unlink(token, one?.id)).status).toBe(204);
  } finally {
    await without.close();
  }
});

test('nobody is locked out: the last way to sign in stays, also against two hosts', async () => {
  await become();
  const { json } = await front().whole('example');
  const token = json.access_token as string;
  const [one] = await identitiesOf(token);
  expect(outcome(await unlink(token, one?.id))).toEqual([409, 'last_sign_in_method']);
  await become();
  await front().link('example', token);
  const [first, second] = await identitiesOf(token);
  const userId = json.user.id as string;
  const rows = await collection('identities').find({ userId }).toArray();
  const other = createClient(host.baseUrl);
  // More than once: both requests must be between their look and their removal.
  for (let round = 0; round < ROUNDS; round += 1) {
    const both = await Promise.all([unlink(token, first?.id), unlink(token, second?.id, other)]);
    expect(both.filter(({ status }) => status === 204)).toHaveLength(1);
    for (const row of rows)
      await collection('identities').replaceOne({ _id: row._id }, row, { upsert: true });
  }
  await unlink(token, first?.id);
  expect(await identitiesOf(token)).toHaveLength(1);
});
