import { liftLocks } from '../../../../src/modules/auth/login-locks';
import { createMongoCounters } from '../../../../src/platform/counters/mongo-counters';
import { startTestService, type TestService } from '../../../support/app';
import { claimsIn, verify as verifyFactor, withTotp } from '../../../support/factors';
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
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';

const SUBJECT = /Your code to sign in/;

let smtp: TestSmtp;
let mongo: TestMongo;
let hosts: TestService[];
let client: Client;
let other: Client;
let admin: string;

beforeAll(async () => {
  smtp = await startTestSmtp();
  mongo = await startTestMongo();
  const settings = { SMTP_URL: smtp.url, EMAIL_SIGN_IN: 'true' };
  const first = await startTestService(settings, mongo);
  const second = await startTestService(settings, mongo);
  hosts = [first, second];
  [client, other] = [createClient(first.baseUrl), createClient(second.baseUrl)];
  admin = await login(client, first.admin.email, first.admin.password);
});
afterAll(async () => {
  for (const host of hosts ?? []) await host.close();
  await mongo?.close();
  await smtp?.close();
});

const rows = (name: string) => (hosts[0] as TestService).database.connection.collection(name);
const outcome = ({ status, json }: Answer) => [status, json?.code];
const REFUSED = [400, 'invalid_sign_in_code'];
const ask = (email: string) => client('POST', '/api/auth/email-sign-in', { body: { email } });
const verify = (token: string, code: string, by = client) =>
  by('POST', '/api/auth/email-sign-in/verify', { body: { sign_in_token: token, code } });
const otherCode = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0');

async function verified() {
  const email = uniqueEmail('coded');
  const { user } = await register(client, { email });
  await rows('users').updateOne({ emailKey: email }, { $set: { emailVerified: true } });
  return { email, id: user.id as string };
}
async function asked(email: string) {
  const from = smtp.mails.length;
  const answer = await ask(email);
  const { json } = answer;
  const { text, html } = await smtp.waitFor(email, SUBJECT, from);
  const code = /^(\d{6})$/m.exec(text)?.[1] as string;
  return { answer, token: json.sign_in_token as string, code, text, html };
}

test('the mailed code signs in on the device that asked, once', async () => {
  const { email, id } = await verified();
  const { answer, token, code, text, html } = await asked(email);
  expect([answer.status, answer.json, answer.headers.get('cache-control')]).toEqual([
    202,
    { sign_in_token: expect.stringMatching(/^[\w-]{43}$/), expires_in: 600 },
    'no-store',
  ]);
  expect(text).toContain(`/account?purpose=sign-in#code=${code}`);
  expect(html).toContain(code);
  const { status, json } = await verify(token, code);
  expect([status, json.user.id, json.token_type]).toEqual([200, id, 'Bearer']);
  const claims = JSON.parse(Buffer.from(json.access_token.split('.')[1], 'base64url').toString());
  expect(claims).toMatchObject({ sub: id, amr: ['email'], acr: 'aal1' });
  expect((await client('GET', '/api/auth/profile', { token: json.access_token })).status).toBe(200);
  expect(outcome(await verify(token, code))).toEqual(REFUSED);
  await eventually('the events', async () => {
    const types = await rows('audit_events').distinct('type', { subject: id });
    return types.includes('email_sign_in_requested') && types.includes('login');
  });
});

test('the mailed code of an account with a factor asks for it', async () => {
  const { email, id, app } = await withTotp(hosts[0] as TestService, client);
  await rows('users').updateOne({ emailKey: email }, { $set: { emailVerified: true } });
  const before = await rows('sessions').countDocuments({ userId: id });
  const { token, code } = await asked(email);
  const { status, json } = await verify(token, code);
  expect([status, json.mfa_required, json.access_token]).toEqual([200, true, undefined]);
  expect(await rows('sessions').countDocuments({ userId: id })).toBe(before);
  const opened = await verifyFactor(client, json.mfa_token, app());
  expect(claimsIn(opened.json.access_token)).toMatchObject({ amr: ['email', 'otp', 'mfa'] });
});

test('wrong codes do not tell which addresses have a verified account', async () => {
  const unverified = uniqueEmail('unverified');
  await register(client, { email: unverified });
  const addresses = [(await verified()).email, unverified, uniqueEmail('nobody')];
  const guess = (sign_in_token: string) =>
    client('POST', '/api/auth/email-sign-in/verify', {
      ...{ body: { sign_in_token, code: '000000' }, headers: { 'user-agent': 'a stranger' } },
    });
  const answers: unknown[][] = [];
  for (const email of addresses) {
    const outcomes: unknown[] = [];
    for (let request = 0; request < 3; request += 1) {
      const issued = await rows('mailed_codes').countDocuments();
      const { sign_in_token: token } = (await ask(email)).json;
      const isIssued = async () => (await rows('mailed_codes').countDocuments()) > issued;
      await eventually('the code', isIssued);
      for (let i = 0; i < 6; i += 1) outcomes.push(outcome(await guess(token)));
    }
    answers.push(outcomes);
  }
  const locked = [429, 'too_many_attempts'];
  const of = (count: number, what: unknown) => Array.from({ length: count }, () => what);
  // Of each token five tries are looked at.
  const expected = [...of(12, REFUSED), ...of(5, locked), REFUSED];
  expect(answers).toEqual(addresses.map(() => expected));
});

test('the code of one request is worth nothing with the token of another', async () => {
  const { email } = await verified();
  const [mine, theirs] = [await asked(email), await asked(email)];
  if (mine.code !== theirs.code)
    expect(outcome(await verify(theirs.token, mine.code))).toEqual(REFUSED);
  expect((await verify(mine.token, mine.code)).status).toBe(200);
});

test('five tries are looked at, however many come at once on two hosts', async () => {
  const { email } = await verified();
  const { token, code } = await asked(email);
  const wrong = await Promise.all(
    Array.from({ length: 12 }, (_, n) => verify(token, otherCode(code), n % 2 ? client : other)),
  );
  for (const one of wrong) expect([400, 429]).toContain(one.status);
  expect((await rows('mailed_codes').findOne({ triesLeft: 0 }))?.['triesLeft']).toBe(0);
  expect(outcome(await verify(token, code))).toEqual(REFUSED);
});

test('of two hosts that get the right code at once, one opens a session', async () => {
  const { email, id } = await verified();
  for (let round = 0; round < 5; round += 1) {
    const before = await rows('sessions').countDocuments({ userId: id });
    const { token, code } = await asked(email);
    const both = await Promise.all([verify(token, code), verify(token, code, other)]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 400]);
    expect(await rows('sessions').countDocuments({ userId: id })).toBe(before + 1);
    // Five mails an hour go to one address.
    if (round === 3) break;
  }
});

test('wrong codes lock mailed sign-ins of the account, and no password', async () => {
  const { email, id } = await verified();
  let refused: unknown[] = [];
  for (let mail = 0; mail < 4 && refused[0] !== 429; mail += 1) {
    const { token, code } = await asked(email);
    for (let n = 0; n < 5 && refused[0] !== 429; n += 1)
      refused = outcome(await verify(token, otherCode(code)));
  }
  expect(refused).toEqual([429, 'too_many_attempts']);
  const { token, code } = await asked(email);
  expect((await verify(token, code)).status).toBe(429);
  const body = { email, password: PASSWORD };
  expect((await client('POST', '/api/auth/login', { body })).status).toBe(200);

  // As an operator's unlock does.
  const { connection } = (hosts[0] as TestService).database;
  const counters = createMongoCounters(connection, { timeoutMs: 2000, now: Date.now });
  const devices = (await rows('known_devices').distinct('_id', { userId: id })).map(String);
  const account = { id, email, passwordHash: '', devices, factorKinds: [] };
  await liftLocks(counters, account);
  const after = await asked(email);
  expect((await verify(after.token, after.code)).status).toBe(200);
});

test('a reset by mail lifts the lock of mailed codes, for the account and its devices', async () => {
  const limits = { LOGIN_ATTEMPTS_PER_ACCOUNT: '1', LOGIN_ATTEMPTS_PER_DEVICE: '1' };
  const settings = { SMTP_URL: smtp.url, EMAIL_SIGN_IN: 'true', ...limits };
  const strict = await startTestService(settings, mongo);
  try {
    const at = createClient(strict.baseUrl);
    const { email } = await verified();
    const from = (agent: string) => ({ headers: { 'user-agent': agent } });
    const check = (token: string, code: string, agent: string) =>
      at('POST', '/api/auth/email-sign-in/verify', {
        body: { sign_in_token: token, code },
        ...from(agent),
      });
    const body = { email, password: PASSWORD };
    await at('POST', '/api/auth/login', { body, ...from('known/1') });
    const wrong = await asked(email);
    for (const agent of ['known/1', 'unknown/1']) {
      await check(wrong.token, otherCode(wrong.code), agent);
      expect((await check(wrong.token, wrong.code, agent)).status).toBe(429);
    }
    const mails = smtp.mails.length;
    await at('POST', '/api/auth/password/forgot', { body: { email } });
    const { text } = await smtp.waitFor(email, /Set a new password/, mails);
    const mailed = /The token is: ([A-Za-z0-9_-]{43})\n/.exec(text)?.[1];
    const next = { token: mailed, new_password: 'another long password' };
    expect((await at('POST', '/api/auth/password/reset', { body: next })).status).toBe(204);
    const unknown = await asked(email);
    expect((await check(unknown.token, unknown.code, 'unknown/1')).status).toBe(200);
    // A login makes the device known again, under the count that it had.
    const renewed = { email, password: next.new_password };
    await at('POST', '/api/auth/login', { body: renewed, ...from('known/1') });
    const known = await asked(email);
    expect((await check(known.token, known.code, 'known/1')).status).toBe(200);
  } finally {
    await strict.close();
  }
});

test('unknown, unverified and banned addresses get the same answer and no mail', async () => {
  const unverified = uniqueEmail('unproven');
  await register(client, { email: unverified });
  const banned = await verified();
  const ban = await client('POST', `/api/users/${banned.id}/ban`, { token: admin, body: {} });
  expect(ban.status).toBe(200);
  const usable = await verified();
  const from = smtp.mails.length;
  const shapes: unknown[] = [];
  for (const email of [uniqueEmail('nobody'), unverified, banned.email, usable.email]) {
    const { status, json } = await ask(email);
    shapes.push([status, Object.keys(json), json.expires_in]);
    expect(outcome(await verify(json.sign_in_token, '123456'))).toEqual(REFUSED);
  }
  expect(new Set(shapes.map((shape) => JSON.stringify(shape))).size).toBe(1);
  await smtp.waitFor(usable.email, SUBJECT, from);
  const mailed = smtp.mails.slice(from).filter(({ subject }) => SUBJECT.test(subject));
  expect(mailed.map(({ to }) => to[0])).toEqual([usable.email]);
});

test('a code ends with its time, with the sessions of the account and with its address', async () => {
  const late = await verified();
  const expired = await asked(late.email);
  await rows('mailed_codes').updateMany({ userId: late.id }, { $set: { until: new Date(0) } });
  expect(outcome(await verify(expired.token, expired.code))).toEqual(REFUSED);

  const ended = await verified();
  const before = await asked(ended.email);
  const token = await login(client, ended.email, PASSWORD);
  await client('POST', '/api/auth/logout?scope=global', { token });
  expect(outcome(await verify(before.token, before.code))).toEqual(REFUSED);

  const moved = await verified();
  const old = await asked(moved.email);
  await client('PATCH', `/api/users/${moved.id}`, {
    token: admin,
    body: { email: uniqueEmail('elsewhere') },
  });
  expect(outcome(await verify(old.token, old.code))).toEqual(REFUSED);
});

test('an account that must replace its password is asked to, not signed in', async () => {
  const { email, id } = await verified();
  await client('POST', `/api/users/${id}/require-password-change`, { token: admin, body: {} });
  const { token, code } = await asked(email);
  expect(outcome(await verify(token, code))).toEqual([403, 'password_change_required']);
});

test('neither the token nor the code is stored', async () => {
  const { email, id } = await verified();
  const { token, code } = await asked(email);
  const text = JSON.stringify(await rows('mailed_codes').find({ userId: id }).toArray());
  expect(text).not.toContain(token);
  expect(text).not.toContain(code);
});

test('without EMAIL_SIGN_IN both routes say so', async () => {
  const service = await startTestService({ SMTP_URL: smtp.url }, mongo);
  try {
    const off = createClient(service.baseUrl);
    const body = { email: 'ada@example.org' };
    const answer = await off('POST', '/api/auth/email-sign-in', { body });
    expect(outcome(answer)).toEqual([403, 'email_sign_in_disabled']);
    expect(outcome(await verify('a'.repeat(43), '123456', off))[1]).toBe('email_sign_in_disabled');
  } finally {
    await service.close();
  }
});
