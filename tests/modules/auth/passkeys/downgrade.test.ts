import { startTestService, type TestService } from '../../../support/app';
import { claimsIn, signIn } from '../../../support/factors';
import { type Answer, type Client, createClient, login, register } from '../../../support/http';
import {
  PASSKEY_SETTINGS,
  passkeyPage,
  type WithPasskey,
  withPasskey,
} from '../../../support/passkeys';
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';

const NEXT = 'another long password';
const PATH = '/api/auth/passkeys';

let smtp: TestSmtp;
let service: TestService;
let client: Client;
let page: ReturnType<typeof passkeyPage>;
beforeAll(async () => {
  smtp = await startTestSmtp();
  service = await startTestService({ ...PASSKEY_SETTINGS, SMTP_URL: smtp.url });
  client = createClient(service.baseUrl);
  page = passkeyPage(client);
});
afterAll(async () => {
  await service?.close();
  await smtp?.close();
});

const sessions = () => service.database.connection.collection('sessions');
const sessionsOf = (userId: string) => sessions().countDocuments({ userId });

describe('a stolen access token', () => {
  const refused = (answers: readonly Answer[]) =>
    expect(answers.map(({ status, json }) => json?.code ?? status)).toEqual(
      answers.map(() => 'insufficient_user_authentication'),
    );

  test('of an old login adds and removes no passkey (planted: not asked at the end)', async () => {
    const { id, token, passkey } = await withPasskey(client);
    const creation = (await page.creation(token)).json.public_key;
    await sessions().updateMany(
      { userId: id },
      {
        $set: { authenticatedAt: new Date(Date.now() - 601_000) },
      },
    );
    refused([
      await page.creation(token),
      await page.register(token, page.authenticator.create(creation).credential),
      await client('DELETE', `${PATH}/${passkey.passkeyId}`, { token }),
    ]);
    const { json } = await page.stepUp(token, passkey);
    expect((await page.creation(json.access_token)).status).toBe(200);
  });

  test('of a session without the factor adds none to an account with one', async () => {
    const { user, access_token: stolen } = await register(client);
    const own = (await signIn(client, user.email)).json.access_token;
    const creation = (await page.creation(stolen)).json.public_key;
    const { passkeyId } = await page.add(own);
    refused([
      await page.creation(stolen),
      await page.register(stolen, page.authenticator.create(creation).credential),
      await client('DELETE', `${PATH}/${passkeyId}`, { token: stolen }),
    ]);
  });
});

describe('an account with a passkey gets no session', () => {
  /** The factor is asked, and opens the session. */
  async function asks({ id, passkey }: WithPasskey, { status, json }: Answer) {
    expect([status, json.mfa_required]).toEqual([200, true]);
    expect(json.factors).toEqual(['passkey', 'recovery_code']);
    expect(json).not.toHaveProperty('access_token');
    expect(json).not.toHaveProperty('refresh_token');
    expect(await sessionsOf(id)).toBe(0);
    const done = await page.verify(json.mfa_token, passkey);
    expect(claimsIn(done.json.access_token)).toMatchObject({ sub: id, acr: 'aal2' });
  }
  const signedOut = async () => {
    const one = await withPasskey(client);
    await client('POST', '/api/auth/logout?scope=global', { token: one.token });
    return one;
  };

  test('by the password alone', async () => {
    const one = await signedOut();
    await asks(one, await signIn(client, one.email));
  });

  test('by a password reset', async () => {
    const one = await signedOut();
    // A first proof of the address would remove the passkey (ADR 12).
    await service.database.connection
      .collection('users')
      .updateOne({ email: one.email }, { $set: { emailVerified: true } });
    const from = smtp.mails.length;
    await client('POST', '/api/auth/password/forgot', { body: { email: one.email } });
    const { text } = await smtp.waitFor(one.email, /Set a new password/, from);
    const token = /The token is: ([\w-]{43})\n/.exec(text)?.[1];
    const body = { token, new_password: NEXT };
    const reset = await client('POST', '/api/auth/password/reset', { body });
    expect([reset.status, reset.text]).toEqual([204, '']);
    await asks(one, await signIn(client, one.email, NEXT));
  });

  test('by a required password change', async () => {
    const one = await signedOut();
    const admin = await login(client, service.admin.email, service.admin.password);
    const path = `/api/users/${one.id}/require-password-change`;
    await client('POST', path, { token: admin, body: {} });
    const { json } = await signIn(client, one.email);
    expect(json.code).toBe('password_change_required');
    const body = { token: json.password_change_token, new_password: NEXT };
    await asks(one, await client('POST', '/api/auth/password/required', { body }));
  });

  test('by a passkey alone, where the password must be replaced (planted: not asked)', async () => {
    const one = await signedOut();
    const admin = await login(client, service.admin.email, service.admin.password);
    const path = `/api/users/${one.id}/require-password-change`;
    await client('POST', path, { token: admin, body: {} });
    const { status, json } = await page.use(one.passkey);
    expect([status, json.code]).toEqual([403, 'password_change_required']);
    expect(await sessionsOf(one.id)).toBe(0);
    const body = { token: json.password_change_token, new_password: NEXT };
    await asks(one, await client('POST', '/api/auth/password/required', { body }));
    expect((await page.use(one.passkey)).status).toBe(200);
  });
});
