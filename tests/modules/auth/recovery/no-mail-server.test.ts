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

/** Without SMTP_URL the log tells it at each request for a mail, and tells nothing of accounts. */
let service: TestService;
let client: Client;
const log: { readonly msg?: string; readonly kind?: string }[] = [];
beforeAll(async () => {
  const settings = { LOG_LEVEL: 'warn', EMAIL_SIGN_IN: 'true' };
  const logTo = { write: (line: string) => log.push(JSON.parse(line)) };
  service = await startTestService(settings, undefined, logTo);
  client = createClient(service.baseUrl);
});
afterAll(() => service?.close());

const events = (type: string) =>
  service.database.connection.collection('audit_events').countDocuments({ type });

/** The lines of a request and of its job, which runs after the answer. */
async function linesOf(type: string, path: string, email: string) {
  const [from, before] = [log.length, await events(type)];
  expect((await client('POST', path, { body: { email } })).status).toBe(202);
  await eventually('the job', async () => (await events(type)) > before);
  return log.slice(from).map(({ msg, kind }) => `${kind}: ${msg}`);
}

async function accounts() {
  const [known, banned] = [await register(client), await register(client)];
  await service.database.connection
    .collection('users')
    .updateMany({}, { $set: { emailVerified: true } });
  const token = await login(client, service.admin.email, service.admin.password);
  await client('POST', `/api/users/${banned.user.id}/ban`, { token, body: {} });
  return [known.user.email, banned.user.email, uniqueEmail('nobody')];
}

test.each([
  ['reset-password', 'password_reset_requested', '/api/auth/password/forgot'],
  ['sign-in-code', 'email_sign_in_requested', '/api/auth/email-sign-in'],
])(
  '%s: one and the same line for a known, a banned and an unknown address',
  async (kind, type, path) => {
    for (const email of await accounts())
      expect([email, await linesOf(type, path, email)]).toEqual([
        email,
        [`${kind}: mail requested, SMTP_URL is not set`],
      ]);
  },
);

test('also where nothing is left to confirm, and for a new address that is taken', async () => {
  const { access_token: token, user } = await register(client);
  const taken = await register(client);
  await service.database.connection
    .collection('users')
    .updateOne({ email: user.email }, { $set: { emailVerified: true } });
  const from = log.length;
  await client('POST', '/api/auth/email/verification', { token });
  for (const new_email of [uniqueEmail('free'), taken.user.email]) {
    const body = { new_email, current_password: PASSWORD };
    expect((await client('POST', '/api/auth/email/change', { token, body })).status).toBe(202);
  }
  const lines = log.slice(from).map(({ kind }) => kind);
  expect(lines).toEqual(['verify-email', 'change-email', 'change-email']);
});
