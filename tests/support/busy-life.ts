import type { TestService } from './app';
import { type Client, createClient, eventually, login, PASSWORD, uniqueEmail } from './http';
import { exchange } from './impersonation';
import { PASSKEY_SETTINGS, passkeyPage } from './passkeys';

/** Settings under which a user leaves traces: mails wait, as no mail server listens. */
export const BUSY_SETTINGS = {
  TRUST_PROXY: '1',
  SMTP_URL: 'smtp://127.0.0.1:9',
  WEBHOOKS_ALLOWED_NETWORKS: '127.0.0.1',
  ...PASSKEY_SETTINGS,
} as const;

export interface BusyUser {
  readonly id: string;
  readonly email: string;
  readonly token: string;
  /** Another user, on which it acted as an administrator. */
  readonly other: string;
  /** A service account that it has created. */
  readonly serviceAccount: string;
  /** Of its requests. */
  readonly address: string;
  readonly userAgent: string;
}

const succeeded = async (answer: ReturnType<Client>, ...statuses: number[]) => {
  const { status, text, json } = await answer;
  if (!statuses.includes(status)) throw new Error(`answered ${status}: ${text}`);
  return json;
};

/** Lets a user do, and undergo, everything that leaves something in the database. */
export async function liveBusily(service: TestService): Promise<BusyUser> {
  const client = createClient(service.baseUrl);
  const email = uniqueEmail('busy');
  const [address, userAgent] = ['198.51.100.7', 'Busy-Browser/1.0'];
  const headers = { 'x-forwarded-for': address, 'user-agent': userAgent };
  const post = (path: string, body: unknown, more: object = {}) =>
    client('POST', path, { body, headers, ...more });
  const admin = await login(client, service.admin.email, service.admin.password);

  const registered = await succeeded(
    post('/api/auth/register', { name: 'Busy Bee', email, password: PASSWORD }),
    201,
  );
  const id = registered.user.id as string;
  const path = `/api/users/${id}`;
  // First, because a ban revokes what was mailed.
  const reason = `mails from ${email}`;
  await succeeded(client('POST', `${path}/ban`, { token: admin, body: { reason } }), 200, 204);
  await succeeded(client('POST', `${path}/unban`, { token: admin }), 200, 204);
  await succeeded(post('/api/auth/login', { email, password: 'not the password' }), 401);
  await succeeded(
    client('POST', '/api/auth/login', {
      body: { email, password: PASSWORD },
      headers: { 'x-forwarded-for': '203.0.113.5', 'user-agent': 'Other-Browser/2.0' },
    }),
    200,
  );
  await succeeded(post('/api/auth/password/forgot', { email }), 202);
  // An administrator acts as the user, before it becomes one itself.
  await succeeded(exchange(client, id, admin, { reason: `a call of ${email}` }), 200);
  await succeeded(
    client('PATCH', path, {
      token: admin,
      body: {
        external_id: `crm-${id}`,
        app_metadata: { plan: 'gold' },
        private_metadata: { note: 'pays late' },
        role: 'admin',
      },
    }),
    200,
  );
  const { access_token: token } = await succeeded(
    post('/api/auth/login', { email, password: PASSWORD }),
    200,
  );
  await succeeded(
    client('PATCH', path, { token, headers, body: { user_metadata: { theme: 'dark' } } }),
    200,
  );
  await succeeded(
    client('POST', '/api/auth/email/verification', {
      token,
      headers: { ...headers, 'idempotency-key': `key-${id}` },
    }),
    202,
  );
  await succeeded(
    post(
      '/api/auth/email/change',
      { new_email: uniqueEmail('moved'), current_password: PASSWORD },
      { token },
    ),
    202,
  );
  const made = await succeeded(
    post(
      '/api/users',
      { name: 'Other', email: uniqueEmail('other'), password: PASSWORD },
      { token, headers: { ...headers, 'idempotency-key': `made-${id}` } },
    ),
    201,
  );
  const other = made.id as string;
  await succeeded(
    client('PATCH', `/api/users/${other}`, { token, headers, body: { role: 'support' } }),
    200,
  );
  await succeeded(client('DELETE', `/api/users/${other}/sessions`, { token, headers }), 204);
  await succeeded(post(`/api/users/${other}/ban`, { reason: 'spam' }, { token }), ...[200, 204]);
  await succeeded(
    client('POST', '/api/users/import?dry_run=true', {
      token,
      raw: `${JSON.stringify({ name: 'Row', email: uniqueEmail('row') })}\n`,
      headers: { ...headers, 'content-type': 'application/x-ndjson' },
    }),
    202,
  );
  const program = await succeeded(
    post('/api/service-accounts', { name: 'Report', scopes: ['users:read'] }, { token }),
    201,
  );
  const hook = { url: 'http://127.0.0.1:9/', description: 'Busy' };
  await succeeded(post('/api/webhooks', hook, { token }), 201);
  await passkeyPage(client).add(token, {}, `Key of ${email}`);
  await eventually('the background work', async () => {
    const { connection } = service.database;
    const [mails, events] = await Promise.all([
      connection.collection('mail_queue').countDocuments({ account: id }),
      connection.collection('audit_events').countDocuments({ actor: id, subject: other }),
    ]);
    return mails >= 4 && events >= 3;
  });
  return { id, email, token, other, serviceAccount: program.id, address, userAgent };
}

/** The collections with documents that hold one of the texts, and how many of them each has. */
export async function collectionsWith(
  { database }: TestService,
  texts: readonly string[],
): Promise<Record<string, number>> {
  const { connection } = database;
  const found: Record<string, number> = {};
  for (const { name } of await connection.listCollections()) {
    for await (const document of connection.collection(name).find()) {
      const content = JSON.stringify(document).toLowerCase();
      if (texts.some((text) => content.includes(text.toLowerCase())))
        found[name] = (found[name] ?? 0) + 1;
    }
  }
  return found;
}
