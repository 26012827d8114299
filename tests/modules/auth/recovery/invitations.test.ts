import bcrypt from 'bcrypt';
import { createUserModel } from '../../../../src/modules/users/model';
import { createUserRepository } from '../../../../src/modules/users/repository';
import { startTestService, type TestService } from '../../../support/app';
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

const FIRST_PASSWORD = 'the first password of all';
let smtp: TestSmtp;
let mongo: TestMongo;
let service: TestService;
let client: Client;
let admin: string;
let support: { id: string; token: string };

beforeAll(async () => {
  smtp = await startTestSmtp();
  mongo = await startTestMongo();
  service = await startTestService(
    {
      SMTP_URL: smtp.url,
      INVITATION_TTL_SECONDS: '7200',
      ROLES: 'creator=users:write+users:read',
    },
    mongo,
  );
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
  support = await staff('support');
});
afterAll(async () => {
  await service?.close();
  await mongo?.close();
  await smtp?.close();
});

const collection = (name: string) => service.database.connection.collection(name);
const stored = (email: string) => collection('users').findOne({ emailKey: email });
const invite = (id: string, token = admin) => client('POST', `/api/users/${id}/invite`, { token });
const sendReset = (id: string, token = admin) =>
  client('POST', `/api/users/${id}/send-password-reset`, { token });
const accept = (token: string, password = FIRST_PASSWORD) =>
  client('POST', '/api/auth/invitation/accept', { body: { token, password } });
const outcome = ({ status, json }: Answer) => [status, json?.code];
const tokenIn = (text: string) => /The token is: ([A-Za-z0-9_-]{43})\n/.exec(text)?.[1] as string;
const mailedToken = async (email: string, subject = /invitation/, from = 0) =>
  tokenIn((await smtp.waitFor(email, subject, from)).text);

async function staff(role: string) {
  const repository = createUserRepository(createUserModel(service.database.connection), {
    timeoutMs: 2000,
  });
  const [id, email] = [repository.newId(), uniqueEmail(role)];
  const passwordHash = bcrypt.hashSync(PASSWORD, 4);
  await repository.insert({ id, email, name: 'Staff', passwordHash, role }, new Date());
  return { id, email, token: await login(client, email, PASSWORD) };
}
async function create(body: object = {}, token = admin) {
  const email = uniqueEmail('invited');
  const answer = await client('POST', '/api/users', {
    token,
    body: { name: 'Grace Hopper', email, ...body },
  });
  return { email, answer, id: String(answer.json?.id) };
}
async function invited() {
  const { email, id } = await create({ send_invitation: true });
  return { email, id, token: await mailedToken(email) };
}
const auditOf = async (subject: string, type: string) => {
  const events = (
    await client('GET', `/api/audit-events?subject=${subject}&type=${type}`, { token: admin })
  ).json.data as { actor: string; result: string }[];
  return events.length > 0 ? events : undefined;
};

describe('an account without a password', () => {
  test('is made without a mail unless one is asked for, and cannot be logged in to', async () => {
    const from = smtp.mails.length;
    const { email, answer } = await create();
    expect([answer.status, answer.json.email_verified]).toEqual([201, false]);
    expect((await stored(email))?.['passwordHash']).toBe('!no-password');
    for (const password of ['!no-password', 'no-password', '!'])
      expect(
        outcome(await client('POST', '/api/auth/login', { body: { email, password } })),
      ).toEqual([401, 'invalid_credentials']);
    // No login replaces it by a hash.
    expect((await stored(email))?.['passwordHash']).toBe('!no-password');
    const { email: other } = await create({ send_invitation: true });
    await smtp.waitFor(other, /invitation/, from);
    expect(smtp.mails.slice(from).filter(({ to }) => to.includes(email))).toEqual([]);
  });

  test('is not invited with a password, nor by a caller without users:send_mail', async () => {
    const both = await create({ password: PASSWORD, send_invitation: true });
    expect([both.answer.status, both.answer.json.errors[0].pointer]).toEqual([
      422,
      '/send_invitation',
    ]);
    const creator = await staff('creator');
    const refused = await create({ send_invitation: true }, creator.token);
    expect(outcome(refused.answer)).toEqual([403, 'forbidden']);
    expect(await stored(refused.email)).toBeNull();
    expect((await create({}, creator.token)).answer.status).toBe(201);
  });

  test('can also be taken into use by a forgotten password', async () => {
    const { email, token } = await invited();
    const from = smtp.mails.length;
    await client('POST', '/api/auth/password/forgot', { body: { email } });
    const reset = await mailedToken(email, /Set a new password/, from);
    const answer = await client('POST', '/api/auth/password/reset', {
      body: { token: reset, new_password: PASSWORD },
    });
    expect(answer.status).toBe(204);
    await login(client, email, PASSWORD);
    expect(outcome(await accept(token))).toEqual([400, 'invalid_mail_token']);
  });
});

describe('an invitation', () => {
  test('sets the password once and verifies the address; both are in the audit log', async () => {
    const { email, id, token } = await invited();
    const { text, html } = await smtp.waitFor(email, /invitation/);
    expect(text).toMatch(/\/account\?purpose=invitation#token=/);
    expect(html).toContain('purpose=invitation#token=');
    expect(outcome(await accept(token, 'short'))).toEqual([422, 'validation_failed']);
    const known = await accept(token, 'Grace Hopper');
    expect(known.json.errors[0]).toMatchObject({
      pointer: '/password',
      code: 'password_is_identity',
    });
    expect((await accept(token)).status).toBe(204);
    const access = await login(client, email, FIRST_PASSWORD);
    const { json } = await client('GET', '/api/users/me', { token: access });
    expect(json).toMatchObject({ id, email_verified: true });
    expect(outcome(await accept(token, 'yet another password'))).toEqual([
      400,
      'invalid_mail_token',
    ]);
    const sent = await eventually('the sent invitation', () => auditOf(id, 'invitation_sent'));
    const { id: adminId } = (await client('GET', '/api/users/me', { token: admin })).json;
    expect(sent).toEqual([expect.objectContaining({ actor: adminId, result: 'success' })]);
    expect(await eventually('acceptance', () => auditOf(id, 'invitation_accepted'))).toEqual([
      expect.objectContaining({ actor: id, result: 'success' }),
    ]);
  });

  test('of ten concurrent uses of one token one succeeds', async () => {
    const { email, token } = await invited();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => accept(token, `password ${i} of ten of them`)),
    );
    const winners = answers.flatMap(({ status }, i) => (status === 204 ? [i] : []));
    expect(winners).toHaveLength(1);
    await login(client, email, `password ${winners[0]} of ten of them`);
  });

  test('is stored hashed and expires after INVITATION_TTL_SECONDS', async () => {
    const { id, token } = await invited();
    const row = await collection('one_time_tokens').findOne({ userId: id });
    expect(JSON.stringify(row)).not.toContain(token);
    const leftMs = Number(row?.['until']) - Date.now();
    expect(leftMs).toBeGreaterThan(7_100_000);
    expect(leftMs).toBeLessThanOrEqual(7_201_000);
    await collection('one_time_tokens').updateOne(
      { userId: id },
      { $set: { until: new Date(Date.now() - 1) } },
    );
    expect(outcome(await accept(token))).toEqual([400, 'invalid_mail_token']);
  });

  test('is revoked by a new one', async () => {
    const { email, id, token } = await invited();
    const from = smtp.mails.length;
    expect((await invite(id)).status).toBe(202);
    const next = await mailedToken(email, /invitation/, from);
    expect(outcome(await accept(token))).toEqual([400, 'invalid_mail_token']);
    expect((await accept(next)).status).toBe(204);
  });

  test('is revoked by a change of the address, also back', async () => {
    const { email, id, token } = await invited();
    const patch = (body: object) => client('PATCH', `/api/users/${id}`, { token: admin, body });
    expect((await patch({ email: uniqueEmail('moved') })).status).toBe(200);
    expect(outcome(await accept(token))).toEqual([400, 'invalid_mail_token']);
    expect((await patch({ email })).status).toBe(200);
    await eventually(
      'the revocation',
      async () => (await collection('one_time_tokens').countDocuments({ userId: id })) === 0,
    );
    expect(outcome(await accept(token))).toEqual([400, 'invalid_mail_token']);
  });

  test('is of no use for a banned or removed account', async () => {
    const [banned, removed] = [await invited(), await invited()];
    await collection('users').updateOne({ emailKey: banned.email }, { $set: { status: 'banned' } });
    expect(outcome(await accept(banned.token))).toEqual([400, 'invalid_mail_token']);
    expect(outcome(await invite(banned.id))).toEqual([409, 'account_banned']);
    expect(outcome(await sendReset(banned.id))).toEqual([409, 'account_banned']);
    const answer = await client('DELETE', `/api/users/${removed.id}`, { token: admin });
    expect(answer.status).toBe(204);
    expect(outcome(await accept(removed.token))).toEqual([400, 'invalid_mail_token']);
    expect(outcome(await invite(removed.id))).toEqual([404, 'user_not_found']);
  });

  test('is no token for another purpose, and no other token is an invitation', async () => {
    const { token } = await invited();
    const reset = await client('POST', '/api/auth/password/reset', {
      body: { token, new_password: FIRST_PASSWORD },
    });
    expect(outcome(reset)).toEqual([400, 'invalid_mail_token']);
    const { email } = (await register(client)).user;
    expect(outcome(await accept(await mailedToken(email, /Confirm your e-mail/)))).toEqual([
      400,
      'invalid_mail_token',
    ]);
  });
});

describe('mails that staff sends', () => {
  test('support sends invitations and resets, with its name in the audit log', async () => {
    const { user } = await register(client);
    expect(outcome(await invite(user.id, support.token))).toEqual([409, 'password_exists']);
    const from = smtp.mails.length;
    expect((await sendReset(user.id, support.token)).status).toBe(202);
    const token = await mailedToken(user.email, /Set a new password/, from);
    const answer = await client('POST', '/api/auth/password/reset', {
      body: { token, new_password: 'a brand new password' },
    });
    expect(answer.status).toBe(204);
    const sent = await eventually('the event', () => auditOf(user.id, 'password_reset_requested'));
    expect(sent).toEqual([expect.objectContaining({ actor: support.id, result: 'success' })]);
    const { id } = await create();
    expect((await invite(id, support.token)).status).toBe(202);
    expect(outcome(await sendReset(id, support.token))).toEqual([409, 'no_password']);
  });

  test('nobody mails an account that may do more', async () => {
    const { id } = (await client('GET', '/api/users/me', { token: admin })).json;
    const from = smtp.mails.length;
    expect(outcome(await sendReset(id, support.token))).toEqual([403, 'exceeds_permissions']);
    expect(outcome(await invite(id, support.token))).toEqual([403, 'exceeds_permissions']);
    const { access_token, user } = await register(client);
    expect(outcome(await sendReset(user.id, access_token))).toEqual([403, 'forbidden']);
    expect(smtp.mails.slice(from).filter(({ to }) => to.includes(service.admin.email))).toEqual([]);
  });

  test('a mailbox gets five an hour; strangers do not use up that number', async () => {
    const { user } = await register(client);
    for (let i = 0; i < 12; i += 1)
      await client('POST', '/api/auth/password/forgot', { body: { email: user.email } });
    const answers: Answer[] = [];
    // Two windows, if the hour has just turned.
    for (let i = 0; i < 11; i += 1) answers.push(await sendReset(user.id));
    expect(answers.slice(0, 5).map(({ status }) => status)).toEqual([202, 202, 202, 202, 202]);
    const refused = answers.find(({ status }) => status !== 202);
    expect(outcome(refused as Answer)).toEqual([429, 'too_many_mails']);
    const waitSeconds = Number(refused?.headers.get('retry-after'));
    expect(waitSeconds).toBeGreaterThan(0);
    expect(waitSeconds).toBeLessThanOrEqual(3600);
  });
});

test('without a mail server, staff is told so and no account is made', async () => {
  const without = await startTestService({}, mongo);
  try {
    const other = createClient(without.baseUrl);
    const email = uniqueEmail('unsent');
    const answer = await other('POST', '/api/users', {
      token: admin,
      body: { name: 'Grace', email, send_invitation: true },
    });
    expect(outcome(answer)).toEqual([409, 'mail_not_configured']);
    expect(await stored(email)).toBeNull();
    const { id } = await create();
    expect(outcome(await other('POST', `/api/users/${id}/invite`, { token: admin }))).toEqual([
      409,
      'mail_not_configured',
    ]);
  } finally {
    await without.close();
  }
});
