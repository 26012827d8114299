import { startTestService, type TestService } from '../../../support/app';
import { leastOf, median } from '../../../support/figures';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';

let smtp: TestSmtp;
let service: TestService;
let client: Client;

beforeAll(async () => {
  smtp = await startTestSmtp({ failures: 1 });
  service = await startTestService({
    SMTP_URL: smtp.url,
    MAIL_LINK_BASE: 'https://app.example.test/account',
    TRUST_PROXY: '1',
  });
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await service?.close();
  await smtp?.close();
});

const post = (path: string, body: unknown, token?: string) =>
  client('POST', `/api/auth/${path}`, { body, ...(token === undefined ? {} : { token }) });
const tokenIn = (text: string) => /The token is: ([A-Za-z0-9_-]{43})\n/.exec(text)?.[1] as string;
const confirm = (token: string) => post('email/verify', { token, current_password: PASSWORD });
const profileStatus = async (token: string) =>
  (await client('GET', '/api/auth/profile', { token })).status;
const stored = (email: string) =>
  service.database.connection.collection('users').findOne({ emailKey: email });

async function account() {
  const email = uniqueEmail('mail');
  const signedIn = await register(client, { email });
  const welcome = await smtp.waitFor(email, /Confirm your e-mail/);
  return { email, ...signedIn, welcome };
}
async function resetToken(email: string) {
  const from = smtp.mails.length;
  expect((await post('password/forgot', { email })).status).toBe(202);
  return tokenIn((await smtp.waitFor(email, /Set a new password/, from)).text);
}

describe('confirming an address', () => {
  test('the mail of the registration confirms it once, also after a temporary refusal by the mail server', async () => {
    const { email, welcome } = await account();
    expect(welcome.text).toMatch(
      /https:\/\/app\.example\.test\/account\?purpose=verify-email#token=/,
    );
    expect((await stored(email))?.['emailVerified']).toBe(false);
    const token = tokenIn(welcome.text);
    expect((await confirm(token)).status).toBe(204);
    expect((await stored(email))?.['emailVerified']).toBe(true);
    const again = await confirm(token);
    expect([again.status, again.json.code]).toEqual([400, 'invalid_mail_token']);
  });

  test('another mail can be requested and revokes the older token', async () => {
    const { email, welcome, access_token } = await account();
    const from = smtp.mails.length;
    expect(
      (await client('POST', '/api/auth/email/verification', { token: access_token })).status,
    ).toBe(202);
    const second = tokenIn((await smtp.waitFor(email, /Confirm your e-mail/, from)).text);
    expect((await confirm(tokenIn(welcome.text))).status).toBe(400);
    expect((await confirm(second)).status).toBe(204);
  });

  test('a token for another purpose is refused', async () => {
    const { email } = await account();
    expect((await confirm(await resetToken(email))).status).toBe(400);
    expect((await stored(email))?.['emailVerified']).toBe(false);
  });
});

describe('a forgotten password', () => {
  test('is replaced by the mailed token: every session ends, the old password is refused, the owner is notified', async () => {
    const { email, access_token, refresh_token } = await account();
    const token = await resetToken(email);
    const from = smtp.mails.length;
    expect((await post('password/reset', { token, new_password: 'short' })).status).toBe(422);
    expect(
      (await post('password/reset', { token, new_password: 'a brand new password' })).status,
    ).toBe(204);
    expect(await profileStatus(access_token)).toBe(401);
    expect((await post('refresh', { refresh_token })).status).toBe(401);
    expect((await post('login', { email, password: PASSWORD })).status).toBe(401);
    await login(client, email, 'a brand new password');
    await smtp.waitFor(email, /password was changed/, from);
    expect(
      (await post('password/reset', { token, new_password: 'yet another password' })).json.code,
    ).toBe('invalid_mail_token');
  });

  test('of ten concurrent uses of one token one succeeds', async () => {
    const { email } = await account();
    const token = await resetToken(email);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        post('password/reset', { token, new_password: `new password ${i} of ten` }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([
      204,
      ...Array.from({ length: 9 }, () => 400),
    ]);
    await login(
      client,
      email,
      `new password ${answers.findIndex(({ status }) => status === 204)} of ten`,
    );
  });

  test('an expired token is refused', async () => {
    const { email } = await account();
    const token = await resetToken(email);
    await service.database.connection
      .collection('one_time_tokens')
      .updateMany({ email }, { $set: { until: new Date(Date.now() - 1) } });
    expect(
      (await post('password/reset', { token, new_password: 'a brand new password' })).json.code,
    ).toBe('invalid_mail_token');
  });

  test('the answer and its time are the same whether or not the account exists', async () => {
    const { email } = await account();
    const bodies = new Set<string>();
    async function timeOf(address: string): Promise<number> {
      const start = performance.now();
      const answer = await post('password/forgot', { email: address });
      const took = performance.now() - start;
      expect(answer.status).toBe(202);
      bodies.add(answer.text);
      return took;
    }
    /**
     * In ms, or as a part of the time, whichever is less. Compared round by round, so that what
     * slows the machine slows both kinds.
     */
    async function difference(): Promise<number> {
      const [differences, times] = [[] as number[], [] as number[]];
      for (let i = 0; i < 30; i += 1) {
        // What goes on after an answer slows the next request a little: each kind follows each as
        // often.
        const known = await timeOf(email);
        const unknown =
          (await timeOf(uniqueEmail('nobody'))) + (await timeOf(uniqueEmail('nobody')));
        differences.push((known + (await timeOf(email)) - unknown) / 2);
        times.push(unknown / 2);
      }
      const between = Math.abs(median(differences));
      return Math.min(between, (10 * between) / median(times));
    }
    expect(await leastOf(3, difference, 1)).toBeLessThanOrEqual(1);
    expect(bodies).toEqual(new Set(['']));
  });

  test('lifts the lock of failed logins', async () => {
    const { email } = await account();
    const guess = (password: string) =>
      client('POST', '/api/auth/login', {
        body: { email, password },
        headers: { 'x-forwarded-for': '203.0.113.50' },
      });
    await eventually('the lock', async () => (await guess('wrong password')).status === 429);
    expect((await guess(PASSWORD)).status).toBe(429);
    expect(
      (
        await post('password/reset', {
          token: await resetToken(email),
          new_password: 'a brand new password',
        })
      ).status,
    ).toBe(204);
    expect((await guess('a brand new password')).status).toBe(200);
  });

  test('cannot be used to flood a mailbox', async () => {
    const { email } = await account();
    const from = smtp.mails.length;
    for (let i = 0; i < 20; i += 1) await post('password/forgot', { email });
    const other = await account();
    await resetToken(other.email);
    const received = smtp.mails.slice(from).filter(({ to }) => to.includes(email));
    expect(received.length).toBeGreaterThan(0);
    // Two windows of five, if the hour has just turned.
    expect(received.length).toBeLessThanOrEqual(10);
  });
});

describe('a change of address', () => {
  test('needs the password, takes effect by the token from the new mailbox and notifies the old one', async () => {
    const { email, access_token } = await account();
    const next = uniqueEmail('next');
    const wrong = await post(
      'email/change',
      { new_email: next, current_password: 'wrong password' },
      access_token,
    );
    expect([wrong.status, wrong.json.errors[0].code]).toEqual([422, 'wrong_password']);
    expect(
      (await post('email/change', { new_email: next, current_password: PASSWORD }, access_token))
        .status,
    ).toBe(202);
    const token = tokenIn((await smtp.waitFor(next, /new e-mail/)).text);
    expect((await client('GET', '/api/auth/profile', { token: access_token })).json.email).toBe(
      email,
    );
    expect((await confirm(token)).status).toBe(204);
    expect((await client('GET', '/api/auth/profile', { token: access_token })).json.email).toBe(
      next,
    );
    expect((await stored(next))?.['emailVerified']).toBe(true);
    await smtp.waitFor(email, /address was changed/);
    await login(client, next, PASSWORD);
  });

  test('to a taken address gets the same answer and no mail; to one taken meanwhile gets 409', async () => {
    const [one, other] = [await account(), await account()];
    const from = smtp.mails.length;
    expect(
      (
        await post(
          'email/change',
          { new_email: other.email, current_password: PASSWORD },
          one.access_token,
        )
      ).status,
    ).toBe(202);
    const contested = uniqueEmail('contested');
    expect(
      (
        await post(
          'email/change',
          { new_email: contested, current_password: PASSWORD },
          one.access_token,
        )
      ).status,
    ).toBe(202);
    const token = tokenIn((await smtp.waitFor(contested, /new e-mail/)).text);
    expect(smtp.mails.slice(from).filter(({ to }) => to.includes(other.email))).toEqual([]);
    await register(client, { email: contested });
    const answer = await confirm(token);
    expect([answer.status, answer.json.code]).toEqual([409, 'email_taken']);
  });
});

test('mailed tokens are stored hashed', async () => {
  const { email, welcome } = await account();
  const secrets = [tokenIn(welcome.text), await resetToken(email)];
  const rows = await service.database.connection
    .collection('one_time_tokens')
    .find({ email })
    .toArray();
  expect(rows).toHaveLength(2);
  for (const secret of secrets) expect(JSON.stringify(rows)).not.toContain(secret);
});

test('an unavailable mail server fails no request', async () => {
  const alone = await startTestService({ SMTP_URL: 'smtp://127.0.0.1:1', SMTP_TIMEOUT_MS: '200' });
  try {
    const from = createClient(alone.baseUrl);
    const { access_token } = await register(from);
    expect((await from('GET', '/api/auth/profile', { token: access_token })).status).toBe(200);
  } finally {
    await alone.close();
  }
});
