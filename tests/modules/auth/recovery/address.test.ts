import { userMigrations } from '../../../../src/modules/users/migrations';
import { runMigrations } from '../../../../src/platform/mongo/migrations/run';
import { createLogger } from '../../../../src/platform/telemetry/logger';
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
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';

/** The account's address: one way to change it, and what it takes with it. */
let smtp: TestSmtp;
let service: TestService;
let client: Client;
let admin: string;

beforeAll(async () => {
  smtp = await startTestSmtp();
  service = await startTestService({ SMTP_URL: smtp.url, HASH_CONCURRENCY: '1', TRUST_PROXY: '1' });
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
});
afterAll(async () => {
  await service?.close();
  await smtp?.close();
});

const NEW_PASSWORD = 'a brand new password';
const post = (path: string, body: unknown, token?: string) =>
  client('POST', `/api/auth/${path}`, { body, ...(token === undefined ? {} : { token }) });
const patch = (id: string, token: string, body: unknown) =>
  client('PATCH', `/api/users/${id}`, { token, body });
const me = async (token: string) => (await client('GET', '/api/users/me', { token })).json;
const tokenIn = (text: string) => /The token is: ([A-Za-z0-9_-]{43})\n/.exec(text)?.[1] as string;
const confirm = (token: string, current_password = PASSWORD) =>
  post('email/verify', { token, current_password });
const collection = (name: string) => service.database.connection.collection(name);
const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
const mailsTo = (email: string, from: number) =>
  smtp.mails.slice(from).filter(({ to }) => to.includes(email));
/** Everything that came before this is in the queue or sent. */
async function settled() {
  const probe = uniqueEmail('probe');
  await register(client, { email: probe });
  await smtp.waitFor(probe, /Confirm/);
}

async function account(name = 'address') {
  const email = uniqueEmail(name);
  const signedIn = await register(client, { email });
  return { email, token: signedIn.access_token, ...signedIn };
}
const welcomeToken = async (email: string) =>
  tokenIn((await smtp.waitFor(email, /Confirm your e-mail/)).text);
async function changeToken(token: string, next: string) {
  expect(
    (await post('email/change', { new_email: next, current_password: PASSWORD }, token)).status,
  ).toBe(202);
  return tokenIn((await smtp.waitFor(next, /Confirm your new/)).text);
}
async function resetToken(email: string) {
  const from = smtp.mails.length;
  expect((await post('password/forgot', { email })).status).toBe(202);
  return tokenIn((await smtp.waitFor(email, /Set a new password/, from)).text);
}
const aged = (token: string) =>
  collection('sessions').updateOne(
    { _id: claimsOf(token).sid },
    { $set: { createdAt: new Date(Date.now() - 3_600_000) } },
  );

describe('the own address', () => {
  test('is stored in the letter case that was confirmed', async () => {
    const { email, token } = await account('case');
    const next = email.toUpperCase().replace(/@.*/, '@example.org');
    const mailed = await changeToken(token, next);
    expect((await confirm(mailed)).status).toBe(204);
    expect(await me(token)).toMatchObject({ email: next, email_verified: true });
  });

  test('keeps the letter case that an administrator gave it, when an earlier link confirms it', async () => {
    const { user, email, token } = await account('case');
    const mailed = await welcomeToken(email);
    const other = email.toUpperCase().replace(/@.*/, '@example.org');
    expect((await patch(user.id, admin, { email: other })).status).toBe(200);
    expect((await confirm(mailed)).status).toBe(204);
    expect(await me(token)).toMatchObject({ email: other, email_verified: true });
  });

  test('does not change by PATCH or PUT, with the same answer for a free and a taken address, and no mail', async () => {
    const [{ user, email, token }, other] = [await account(), await account()];
    // The mails of one queue may overtake each other: that of a later account says nothing.
    await Promise.all([welcomeToken(email), welcomeToken(other.email)]);
    const from = smtp.mails.length;
    const answers = new Set<string>();
    for (const id of ['me', user.id]) {
      for (const next of [
        uniqueEmail('free'),
        other.email,
        service.admin.email,
        email.toUpperCase(),
      ]) {
        const put = await client('PUT', `/api/users/${id}`, {
          token,
          body: { name: 'Thief', email: next },
        });
        for (const answer of [await patch(id, token, { email: next }), put]) {
          const { instance: _, ...problem } = answer.json;
          answers.add(JSON.stringify(problem));
          expect([answer.status, problem.code]).toEqual([403, 'email_change_needs_proof']);
          expect(problem.detail).toContain('/api/auth/email/change');
        }
      }
    }
    expect(answers.size).toBe(1);
    expect(await me(token)).toMatchObject({ email, name: user.name });
    await settled();
    expect(
      smtp.mails.slice(from).filter(({ to }) => to.includes(email) || to.includes(other.email)),
    ).toEqual([]);
  });

  test('may be repeated unchanged in a PUT or PATCH, also after an old login', async () => {
    const { user, email, token } = await account();
    await aged(token);
    expect(
      (await client('PUT', '/api/users/me', { token, body: { name: 'Ada', email } })).json,
    ).toMatchObject({ name: 'Ada', email });
    expect((await patch(user.id, token, { name: 'Grace', email })).json).toMatchObject({
      name: 'Grace',
      email,
    });
  });

  test('administrators have no other way for their own address', async () => {
    const answer = await patch('me', admin, { email: uniqueEmail('admin') });
    expect([answer.status, answer.json.code]).toEqual([403, 'email_change_needs_proof']);
  });

  test('a PUT with the former address does not revert a change', async () => {
    const { email, token } = await account();
    const next = uniqueEmail('next');
    expect((await confirm(await changeToken(token, next))).status).toBe(204);
    expect(
      (await client('PUT', '/api/users/me', { token, body: { name: 'Ada', email } })).status,
    ).toBe(403);
    expect((await me(token)).email).toBe(next);
  });
});

describe('the address of another user', () => {
  test('is set by an administrator after a recent login, unverified; repeating it needs no recent login', async () => {
    const { user, email, token } = await account();
    expect((await confirm(await welcomeToken(email))).status).toBe(204);
    const next = uniqueEmail('set');
    expect((await patch(user.id, admin, { email: email.toUpperCase() })).json.email_verified).toBe(
      true,
    );
    const old = await login(client, service.admin.email, service.admin.password);
    await aged(old);
    const refused = await patch(user.id, old, { email: next });
    expect([refused.status, refused.json.code]).toEqual([401, 'insufficient_user_authentication']);
    expect(refused.headers.get('www-authenticate')).toContain('max_age=600');
    const same = await client('PUT', `/api/users/${user.id}`, {
      token: old,
      body: { name: 'Ada', email: email.toUpperCase() },
    });
    expect(same.status).toBe(200);
    expect((await patch(user.id, admin, { email: next })).json).toMatchObject({
      email: next,
      email_verified: false,
    });
    expect((await me(token)).email_verified).toBe(false);
    // The mail server gets the domain in lower case.
    await smtp.waitFor(email.toUpperCase().replace(/@.*/, '@example.org'), /address was changed/);
  });

  test('notices to the former address are limited', async () => {
    const { user, email } = await account();
    await settled();
    const from = smtp.mails.length;
    for (let i = 0; i < 15; i += 1) {
      expect((await patch(user.id, admin, { email: uniqueEmail('away') })).status).toBe(200);
      expect((await patch(user.id, admin, { email })).status).toBe(200);
    }
    await settled();
    const count = mailsTo(email, from).length;
    expect(count).toBeGreaterThan(0);
    // Two windows of five, if the hour has just turned.
    expect(count).toBeLessThanOrEqual(10);
  });
});

describe('the verified state', () => {
  test('is part of the user, of the claims of tokens and of the entity tag', async () => {
    const { email, token, refresh_token } = await account();
    expect([(await me(token)).email_verified, claimsOf(token).email_verified]).toEqual([
      false,
      false,
    ]);
    const before = (await client('GET', '/api/users/me', { token })).headers.get('etag');
    expect((await confirm(await welcomeToken(email))).status).toBe(204);
    const after = await client('GET', '/api/users/me', { token });
    expect(after.json.email_verified).toBe(true);
    expect(after.headers.get('etag')).not.toBe(before);
    const { access_token } = (await post('refresh', { refresh_token })).json;
    expect(claimsOf(access_token).email_verified).toBe(true);
    const signedIn = await post('login', { email, password: PASSWORD });
    expect([
      signedIn.json.user.email_verified,
      claimsOf(signedIn.json.access_token).email_verified,
    ]).toEqual([true, true]);
  });

  test('filters the list with roles and orders, page by page', async () => {
    const { email } = await account('filtered');
    await account('filtered');
    expect((await confirm(await welcomeToken(email))).status).toBe(204);
    const emails = async (query: string) => {
      const found: { email: string; email_verified: boolean }[] = [];
      let cursor = '';
      do {
        const { status, json } = await client(
          'GET',
          `/api/users?${query}&limit=2&count=true${cursor}`,
          { token: admin },
        );
        expect(status).toBe(200);
        found.push(...json.data);
        cursor = json.next_cursor === null ? '' : `&cursor=${json.next_cursor}`;
      } while (cursor !== '');
      return found;
    };
    for (const order of ['sort=name', 'sort=-email', 'role=user', 'role=user&sort=created_at']) {
      const [yes, no, all] = [
        await emails(`email_verified=true&${order}`),
        await emails(`email_verified=false&${order}`),
        await emails(order),
      ];
      expect(yes.length).toBeGreaterThan(0);
      expect(yes.every((user) => user.email_verified)).toBe(true);
      expect(no.length).toBeGreaterThan(0);
      expect(no.some((user) => user.email_verified)).toBe(false);
      expect([...yes, ...no].map((user) => user.email).sort()).toEqual(
        all.map((user) => user.email).sort(),
      );
    }
    expect((await emails(`email_verified=true&email=${email}`)).length).toBe(1);
    expect((await emails(`email_verified=false&email=${email}`)).length).toBe(0);
    expect((await client('GET', '/api/users?email_verified=yes', { token: admin })).status).toBe(
      400,
    );
  });

  test('users from before the field keep their verified state', async () => {
    const [proven, moved, never] = [await account(), await account(), await account()];
    const old = (email: string, more: object) =>
      collection('users').updateOne(
        { emailKey: email },
        { $unset: { emailVerified: 1 }, $set: more },
      );
    await old(proven.email, { verifiedEmailKey: proven.email });
    await old(moved.email, { verifiedEmailKey: 'before@example.org' });
    await old(never.email, { rev: 1 });
    const { connection } = service.database;
    await connection.collection('migrations').deleteMany({});
    const log = createLogger({ level: 'silent' });
    expect(await runMigrations(connection, userMigrations, { log })).toBe(true);
    const verified = async (email: string) =>
      (await collection('users').findOne({ emailKey: email }))?.['emailVerified'];
    expect([
      await verified(proven.email),
      await verified(moved.email),
      await verified(never.email),
    ]).toEqual([true, false, false]);
  });
});

describe('a pending change', () => {
  test('ends with a change by an administrator, even when the address is set back', async () => {
    const { user, email, token } = await account();
    const pending = await changeToken(token, uniqueEmail('pending'));
    const set = uniqueEmail('set');
    expect((await patch(user.id, admin, { email: set })).status).toBe(200);
    expect((await confirm(pending)).json.code).toBe('invalid_mail_token');
    expect((await me(token)).email).toBe(set);
    await eventually(
      'the tokens to be gone',
      async () => (await collection('one_time_tokens').countDocuments({ userId: user.id })) === 0,
    );
    expect((await patch(user.id, admin, { email })).status).toBe(200);
    expect((await confirm(pending)).json.code).toBe('invalid_mail_token');
    expect((await me(token)).email).toBe(email);
  });

  test('is bound to the address at its request, whether or not its token is still stored', async () => {
    const { user, token } = await account();
    const pending = await changeToken(token, uniqueEmail('pending'));
    const row = await collection('one_time_tokens').findOne({
      userId: user.id,
      purpose: 'change-email',
    });
    expect((await patch(user.id, admin, { email: uniqueEmail('set') })).status).toBe(200);
    await eventually(
      'the tokens to be gone',
      async () => (await collection('one_time_tokens').countDocuments({ userId: user.id })) === 0,
    );
    await collection('one_time_tokens').insertOne(row as never);
    expect((await confirm(pending)).json.code).toBe('invalid_mail_token');
  });

  test('ends with a reset or a change of the password', async () => {
    const [one, two] = [await account(), await account()];
    const [first, second] = [
      await changeToken(one.token, uniqueEmail('p')),
      await changeToken(two.token, uniqueEmail('p')),
    ];
    expect(
      (
        await post('password/reset', {
          token: await resetToken(one.email),
          new_password: NEW_PASSWORD,
        })
      ).status,
    ).toBe(204);
    const change = await client('PATCH', '/api/auth/password', {
      token: two.token,
      body: { current_password: PASSWORD, new_password: NEW_PASSWORD },
    });
    expect(change.status).toBe(200);
    for (const token of [first, second])
      expect((await confirm(token, NEW_PASSWORD)).json.code).toBe('invalid_mail_token');
  });

  test('to a taken address gets 409 and works once the address is free: the token is not used up', async () => {
    const { token } = await account();
    const contested = uniqueEmail('contested');
    const pending = await changeToken(token, contested);
    const rival = await register(client, { email: contested });
    for (let i = 0; i < 2; i += 1) expect((await confirm(pending)).json.code).toBe('email_taken');
    expect((await client('DELETE', '/api/users/me', { token: rival.access_token })).status).toBe(
      204,
    );
    expect((await confirm(pending)).status).toBe(204);
    expect(await me(token)).toMatchObject({ email: contested, email_verified: true });
    expect((await confirm(pending)).json.code).toBe('invalid_mail_token');
  });
});

test('the link to verify survives a change of the password', async () => {
  const { email, token } = await account();
  const welcome = await welcomeToken(email);
  const body = { current_password: PASSWORD, new_password: NEW_PASSWORD };
  expect((await client('PATCH', '/api/auth/password', { token, body })).status).toBe(200);
  expect((await confirm(welcome, NEW_PASSWORD)).status).toBe(204);
  expect((await me(token)).email_verified).toBe(true);
});

describe('a user who registered the address of somebody else', () => {
  test('gets nothing verified when the owner opens the link, and is signed out when the owner sets a password', async () => {
    const thief = await account('victim');
    const evil = uniqueEmail('evil');
    const pending = await changeToken(thief.token, evil);
    const welcome = await welcomeToken(thief.email);
    expect((await post('email/verify', { token: welcome })).status).toBe(422);
    const guessed = await confirm(welcome, 'the victims own password');
    expect([guessed.status, guessed.json.errors[0].code]).toEqual([422, 'wrong_password']);
    expect((await me(thief.token)).email_verified).toBe(false);

    expect(
      (
        await post('password/reset', {
          token: await resetToken(thief.email),
          new_password: NEW_PASSWORD,
        })
      ).status,
    ).toBe(204);
    expect((await client('GET', '/api/auth/profile', { token: thief.token })).status).toBe(401);
    expect((await post('refresh', { refresh_token: thief.refresh_token })).status).toBe(401);
    expect((await post('login', { email: thief.email, password: PASSWORD })).status).toBe(401);
    expect((await confirm(pending, NEW_PASSWORD)).json.code).toBe('invalid_mail_token');
    expect((await confirm(pending)).json.code).toBe('invalid_mail_token');
    expect((await me(await login(client, thief.email, NEW_PASSWORD))).email_verified).toBe(true);
  });

  test('nor when the owner opens the link of a change to that address', async () => {
    const thief = await account('thief');
    const victim = uniqueEmail('victim');
    const token = await changeToken(thief.token, victim);
    expect((await post('email/verify', { token })).status).toBe(422);
    expect((await confirm(token, 'the victims own password')).status).toBe(422);
    expect((await me(thief.token)).email).toBe(thief.email);
  });
});

describe('a reset', () => {
  test('sets no password when the address changed while it was hashed', async () => {
    const slow = await startTestService({
      SMTP_URL: smtp.url,
      HASH_CONCURRENCY: '1',
      BCRYPT_COST: '11',
    });
    try {
      const to = createClient(slow.baseUrl);
      const email = uniqueEmail('left');
      await register(to, { email });
      const from = smtp.mails.length;
      await to('POST', '/api/auth/password/forgot', { body: { email } });
      const token = tokenIn((await smtp.waitFor(email, /Set a new password/, from)).text);
      const users = slow.database.connection.collection('users');
      const before = await users.findOne({ emailKey: email });
      const busy = Array.from({ length: 10 }, () =>
        to('POST', '/api/auth/login', { body: { email: uniqueEmail(), password: PASSWORD } }),
      );
      const waiting = async () =>
        Number(/^auth_hash_queue_length (\d+)$/m.exec(await slow.metrics.metrics())?.[1]);
      await eventually('the queue', async () => (await waiting()) >= 8);
      const reset = to('POST', '/api/auth/password/reset', {
        body: { token, new_password: NEW_PASSWORD },
      });
      // The logins before it take a second; it has looked at its token long before.
      await new Promise((resolve) => setTimeout(resolve, 300));
      const next = uniqueEmail('next');
      await users.updateOne(
        { emailKey: email },
        { $set: { email: next, emailKey: next }, $inc: { rev: 1 } },
      );
      expect((await reset).json.code).toBe('invalid_mail_token');
      await Promise.all(busy);
      expect(await users.findOne({ emailKey: next })).toMatchObject({
        passwordHash: before?.['passwordHash'],
        emailVerified: false,
      });
    } finally {
      await slow.close();
    }
  });

  test('and a change to the same password are refused and keep token and session; repeated attempts revoke the token', async () => {
    const { email, token } = await account();
    const same = { current_password: PASSWORD, new_password: PASSWORD };
    const change = await client('PATCH', '/api/auth/password', { token, body: same });
    expect([change.status, change.json.errors[0]]).toEqual([
      422,
      expect.objectContaining({ pointer: '/new_password', code: 'password_unchanged' }),
    ]);
    expect((await me(token)).email).toBe(email);
    const mailed = await resetToken(email);
    const reset = (new_password: string) => post('password/reset', { token: mailed, new_password });
    for (let i = 0; i < 5; i += 1)
      expect((await reset(PASSWORD)).json.errors[0].code).toBe('password_unchanged');
    expect((await reset(PASSWORD)).json.code).toBe('invalid_mail_token');
    expect((await reset(NEW_PASSWORD)).json.code).toBe('invalid_mail_token');
    expect(
      (await post('password/reset', { token: await resetToken(email), new_password: NEW_PASSWORD }))
        .status,
    ).toBe(204);
  });

  test('forgets every known device; a change of the password forgets those of others', async () => {
    const { user, email, token } = await account();
    const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
    const signIn = (address: string) =>
      client('POST', '/api/auth/login', { body: { email, password: PASSWORD }, ...from(address) });
    for (const address of ['203.0.113.1', '203.0.113.2'])
      expect((await signIn(address)).status).toBe(200);
    const devices = () => collection('known_devices').countDocuments({ userId: user.id });
    expect(await devices()).toBe(3);
    const body = { current_password: PASSWORD, new_password: NEW_PASSWORD };
    expect(
      (await client('PATCH', '/api/auth/password', { token, body, ...from('203.0.113.2') })).status,
    ).toBe(200);
    expect(await devices()).toBe(1);
    expect(
      (
        await post('password/reset', {
          token: await resetToken(email),
          new_password: 'one more password',
        })
      ).status,
    ).toBe(204);
    expect(await devices()).toBe(0);
  });
});

describe('budgets', () => {
  test('an account cannot mail many strangers, nor delay mails of others', async () => {
    const [thief, owner] = [await account(), await account()];
    const strangers = Array.from({ length: 30 }, () => uniqueEmail('stranger'));
    const from = smtp.mails.length;
    for (const new_email of strangers) {
      expect(
        (await post('email/change', { new_email, current_password: PASSWORD }, thief.token)).status,
      ).toBe(202);
    }
    await resetToken(owner.email);
    await settled();
    const reached = strangers.filter((email) => mailsTo(email, from).length > 0).length;
    expect(reached).toBeGreaterThan(0);
    // Two windows of ten, if the hour has just turned.
    expect(reached).toBeLessThanOrEqual(20);
    const dropped = await service.metrics.getSingleMetricAsString('auth_mails_dropped_total');
    expect(
      Number(/kind="change-email",reason="budget"} (\d+)/.exec(dropped)?.[1]),
    ).toBeGreaterThanOrEqual(10);
  });

  test('without a mail server a mail counts as dropped, and nothing is queued', async () => {
    const alone = await startTestService();
    try {
      const to = createClient(alone.baseUrl);
      const { user } = await register(to);
      expect(
        (await to('POST', '/api/auth/password/forgot', { body: { email: user.email } })).status,
      ).toBe(202);
      const figure = async (labels: string) =>
        Number(
          new RegExp(`\\{${labels}} (\\d+)`).exec(
            await alone.metrics.getSingleMetricAsString('auth_mails_dropped_total'),
          )?.[1],
        );
      await eventually(
        'both drops',
        async () => (await figure('kind="reset-password",reason="no_server"')) === 1,
      );
      expect(await figure('kind="verify-email",reason="no_server"')).toBe(1);
      expect(await alone.database.connection.collection('mail_queue').countDocuments()).toBe(0);
      expect(await alone.metrics.getSingleMetricAsString('auth_mails_sent_total')).toMatch(
        /kind="reset-password"} 0/,
      );
    } finally {
      await alone.close();
    }
  });
});
