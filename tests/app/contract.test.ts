import { startTestService, type TestService } from '../support/app';
import { type Contract, createContract } from '../support/contract';
import { firstStep, verify, withTotp } from '../support/factors';
import { CLIENT, callbackOf, createFront, federationSettings } from '../support/federation';
import { type Client, createClient, login, PASSWORD, register, uniqueEmail } from '../support/http';
import { startTestProvider, type TestProvider } from '../support/oidc-provider';
import { PASSKEY_SETTINGS, passkeyPage } from '../support/passkeys';
import { type WatchedCommands, watchCommands } from '../support/request-commands';
import { startTestSmtp, type TestSmtp } from '../support/smtp';

let smtp: TestSmtp;
let provider: TestProvider;
let service: TestService;
let plain: Client;
let contract: Contract;
let commands: WatchedCommands;
const faults: string[] = [];

beforeAll(async () => {
  smtp = await startTestSmtp();
  provider = await startTestProvider({ ...CLIENT, redirectUri: callbackOf('example') });
  service = await startTestService({
    SMTP_URL: smtp.url,
    WEBHOOKS_ALLOWED_NETWORKS: '127.0.0.1',
    EMAIL_SIGN_IN: 'true',
    ...PASSKEY_SETTINGS,
    ROLES: 'auditor=audit:read',
    // Each request reads its caller from the database, however soon it follows another.
    NEAR_CACHE_TTL_MS: '0',
    MFA_POLICY: 'optional,auditor=required',
    ...federationSettings({ example: provider.issuer }),
  });
  plain = createClient(service.baseUrl);
  commands = watchCommands(service.database.connection);
  contract = createContract((await plain('GET', '/openapi.json')).json as object);
});
afterAll(async () => {
  await service?.close();
  await provider?.close();
  await smtp?.close();
});

const client: Client = async (method, path, options) => {
  const operation = contract.operationOf(method, path) ?? 'none';
  const answer = await commands.during(operation, (id) =>
    plain(method, path, { ...options, headers: { 'x-request-id': id, ...options?.headers } }),
  );
  const { status, text, json, headers } = answer;
  const fault = contract.fault({ method, path, status, text, json, headers });
  if (fault !== undefined) faults.push(fault);
  return answer;
};

const form = (parameters: Record<string, string>) => ({
  raw: new URLSearchParams(parameters).toString(),
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
});
const tokenIn = (text: string) => /The token is: ([A-Za-z0-9_-]{43})\n/.exec(text)?.[1] ?? '';
const NOBODY = '652f1c3e9b1d4a0012ab34cd';

async function asUser(): Promise<void> {
  const email = uniqueEmail();
  const user = await register(client, { email });
  const token = user.access_token;
  const welcome = tokenIn((await smtp.waitFor(email, /Confirm your e-mail/)).text);
  await client('POST', '/api/auth/email/verify', {
    body: { token: welcome, current_password: PASSWORD },
  });
  await client('POST', '/api/auth/email/verify', {
    body: { token: welcome, current_password: PASSWORD },
  });
  await client('POST', '/api/auth/email/verification', { token });
  await client('POST', '/api/auth/email/change', {
    token,
    body: { new_email: uniqueEmail(), current_password: PASSWORD },
  });
  const profile = await client('GET', '/api/auth/profile', { token });
  await client('GET', '/api/auth/profile', {
    token,
    headers: { 'if-none-match': profile.headers.get('etag') ?? '' },
  });
  await client('HEAD', '/api/auth/profile', { token });
  await client('GET', '/api/users/me/export', { token });
  const sessions = await client('GET', '/api/auth/sessions', { token });
  await usesPasskeys(token);
  await login(client, email, PASSWORD);
  const changed = await client('PATCH', '/api/auth/password', {
    token,
    body: { current_password: PASSWORD, new_password: `${PASSWORD} 2` },
  });
  const { json } = await client('POST', '/api/auth/refresh', {
    body: { refresh_token: changed.json.refresh_token },
  });
  await client('GET', '/api/users', { token });
  await client('DELETE', `/api/auth/sessions/${NOBODY}`, { token });
  await client('POST', '/api/auth/logout?scope=others', { token });
  await client('POST', '/api/auth/revoke', form({ token: json.refresh_token }));
  const from = smtp.mails.length;
  await client('POST', '/api/auth/password/forgot', { body: { email } });
  const reset = tokenIn((await smtp.waitFor(email, /Set a new password/, from)).text);
  await client('POST', '/api/auth/password/reset', {
    body: { token: reset, new_password: `${PASSWORD} anew` },
  });
  expect(sessions.json.data).toHaveLength(1);
  await byMail(email);
}

async function byMail(email: string): Promise<void> {
  const from = smtp.mails.length;
  const { json } = await client('POST', '/api/auth/email-sign-in', { body: { email } });
  const { text } = await smtp.waitFor(email, /code to sign in/, from);
  await client('POST', '/api/auth/email-sign-in/verify', {
    body: { sign_in_token: json.sign_in_token, code: /^(\d{6})$/m.exec(text)?.[1] },
  });
}

async function asUserWithFactors(): Promise<void> {
  const { id, email, app, token, recoveryCodes } = await withTotp(service, client);
  await client('GET', '/api/auth/factors', { token });
  await verify(client, await firstStep(client, email), recoveryCodes[0] ?? '', 'recovery_code');
  await verify(client, await firstStep(client, email), '000000');
  await verify(client, 'A'.repeat(43), '000000');
  const stepped = await client('POST', '/api/auth/mfa/step-up', {
    ...{ token, body: { factor: 'totp', code: app() } },
  });
  await client('POST', '/api/auth/factors/recovery-codes', { token });
  const { data } = (await client('GET', '/api/auth/factors', { token })).json;
  await client('DELETE', `/api/auth/factors/${data[0].id}`, { token: stepped.json.access_token });
  // An administrator who needs a factor and has none.
  const admin = await login(client, service.admin.email, service.admin.password);
  await client('PATCH', `/api/users/${id}`, { token: admin, body: { role: 'auditor' } });
  const mfa_token = await firstStep(client, email);
  await client('POST', '/api/auth/mfa/totp', { body: { mfa_token } });
  await client('DELETE', `/api/users/${id}/factors`, { token: admin });
}

async function usesPasskeys(token: string): Promise<void> {
  const page = passkeyPage(client);
  const passkey = await page.add(token);
  const signedIn = await page.use(passkey);
  const { email } = (await client('GET', '/api/auth/profile', { token })).json;
  const mfa_token = await firstStep(client, email);
  await page.verify(mfa_token, passkey);
  await page.stepUp(signedIn.json.access_token, passkey);
  await page.list(token);
  const path = `/api/auth/passkeys/${passkey.passkeyId}`;
  await client('PATCH', path, { token, body: { name: 'Renamed' } });
  await client('DELETE', path, { token });
  await page.use(passkey);
  await client('POST', '/api/auth/logout', { token: signedIn.json.access_token });
}

async function asAdministrator(): Promise<void> {
  const token = await login(client, service.admin.email, service.admin.password);
  const created = await client('POST', '/api/users', {
    token,
    body: { name: 'Ada', email: uniqueEmail(), password: PASSWORD },
  });
  const path = `/api/users/${created.json.id}`;
  await client('GET', path, { token });
  await client('PUT', path, { token, body: { name: 'Ada', email: uniqueEmail() } });
  await client('PATCH', path, { token, body: { name: 'Ada King' } });
  await client('PATCH', path, { token, body: { name: 'x' }, headers: { 'if-match': '"r0"' } });
  await client('GET', '/api/users?limit=1&count=true', { token });
  await client('GET', '/api/audit-events?limit=100', { token });
  await client('GET', '/api/events?limit=1', { token });
  await client('GET', '/api/events?after=999999999', { token });
  await client('GET', '/api/events/stream?for_seconds=1', { token });
  await followsByWebhook(token);
  await administers(token, path);
  await invites(token);
  await imports(token);
  await client('DELETE', path, { token });
  await client('GET', path, { token });
  await client('DELETE', '/api/users/me', { token });
  const account = await client('POST', '/api/service-accounts', {
    token,
    body: { name: 'Machine', scopes: ['tokens:introspect', 'users:read'] },
  });
  const credentials = {
    client_id: account.json.id as string,
    client_secret: account.json.client_secret as string,
  };
  const machine = await client(
    'POST',
    '/api/auth/token',
    form({ grant_type: 'client_credentials', ...credentials }),
  );
  await client('POST', '/api/auth/token', form({ grant_type: 'password' }));
  await client(
    'POST',
    '/api/auth/introspect',
    form({ token: machine.json.access_token, ...credentials }),
  );
  await client('POST', '/api/auth/introspect', form({ token: 'unknown', ...credentials }));
  await client('POST', '/api/auth/introspect', form({ token: 'unknown' }));
  await client('GET', '/api/auth/profile', { token: machine.json.access_token });
  await client('GET', '/api/service-accounts', { token });
  await client('GET', '/api/auth/revocations?limit=1', { token });
  await client('GET', '/api/auth/security-events', { token });
  const body = { returnImmediately: true };
  await client('POST', '/api/auth/security-events', { token, body });
  await client('GET', '/.well-known/ssf-configuration');
  await client('DELETE', `/api/service-accounts/${account.json.id}`, { token });
  await client('GET', '/.well-known/jwks.json');
  await client('GET', '/.well-known/oauth-authorization-server');
}

async function followsByWebhook(token: string): Promise<void> {
  const url = 'https://192.0.2.1/hook';
  const body = { url: 'http://127.0.0.1:9/', types: ['user.created'] };
  await client('POST', '/api/webhooks', { token, body: { url } });
  const { json } = await client('POST', '/api/webhooks', { token, body });
  await client('GET', '/api/webhooks', { token });
  const at = `/api/webhooks/${json.id}`;
  await client('GET', at, { token });
  await client('PATCH', at, { token, body: { description: 'CRM' } });
  await client('POST', `${at}/secret`, { token });
  await client('POST', `${at}/test`, { token });
  await client('GET', `${at}/deliveries?limit=1`, { token });
  await client('POST', `${at}/redeliver`, { token, body: { failed: true } });
  await client('POST', `${at}/redeliver`, { token, body: { after: 999_999_999 } });
  await client('DELETE', at, { token });
  await client('GET', at, { token });
}

async function administers(token: string, path: string): Promise<void> {
  await client('GET', `${path}/sessions`, { token });
  await client('DELETE', `${path}/sessions/${NOBODY}`, { token });
  await client('DELETE', `${path}/sessions`, { token });
  await client('POST', `${path}/ban`, { token, body: { reason: 'spam' } });
  await client('POST', `${path}/unban`, { token });
  await client('POST', '/api/users/ban', { token, body: { ids: [NOBODY] } });
  await client('POST', '/api/users/delete', { token, body: { ids: [NOBODY] } });
  const { email } = (await client('GET', path, { token })).json;
  await client('POST', `${path}/require-password-change`, { token, body: {} });
  const asked = await client('POST', '/api/auth/login', { body: { email, password: PASSWORD } });
  await client('POST', '/api/auth/password/required', {
    body: { token: asked.json.password_change_token, new_password: `${PASSWORD} required` },
  });
}

async function invites(token: string): Promise<void> {
  const email = uniqueEmail('invited');
  const created = await client('POST', '/api/users', { token, body: { name: 'Grace', email } });
  const path = `/api/users/${created.json.id}`;
  await client('POST', `${path}/invite`, { token });
  const invitation = tokenIn((await smtp.waitFor(email, /Your invitation/)).text);
  const body = { token: invitation, password: PASSWORD };
  await client('POST', '/api/auth/invitation/accept', { body });
  await client('POST', '/api/auth/invitation/accept', { body });
  await client('POST', `${path}/invite`, { token });
  await client('POST', `${path}/send-password-reset`, { token });
}

async function imports(token: string): Promise<void> {
  const headers = { 'content-type': 'application/x-ndjson' };
  const raw = `${JSON.stringify({ email: uniqueEmail() })}\nno user\n`;
  const sent = await client('POST', '/api/users/import', { token, raw, headers });
  const job = sent.headers.get('location') ?? '';
  await client('GET', `${job}/events`, { token });
  await client('GET', job, { token });
  await client('GET', `${job}/report`, { token });
  await client('POST', `${job}/cancel`, { token });
  await client('GET', '/api/users/export', { token });
}

async function federates(): Promise<void> {
  const front = createFront(client);
  const as = (sub: string) =>
    provider.become({ sub, claims: { email: `${sub}@example.org`, email_verified: true } });
  await as('ada');
  await client('GET', '/api/auth/oidc');
  const token = (await front.whole('example')).json.access_token;
  await as('ada.at.work');
  await createFront(client).link('example', token);
  const { json } = await client('GET', '/api/auth/identities', { token });
  await client('DELETE', `/api/auth/identities/${json.data[0].id}`, { token });
  await client('GET', '/api/auth/oidc/unknown/start?ticket=none');
  expect(json.data).toHaveLength(2);
}

test('every operation succeeded at least once, and each response matched the document', async () => {
  await asUser();
  await asUserWithFactors();
  await asAdministrator();
  await federates();
  expect(faults).toEqual([]);
  const succeeded = new Set(
    [...contract.seen]
      .filter((one) => /\b(2\d\d|303)$/.test(one))
      .map((one) => one.replace(/ \d+$/, '')),
  );
  expect(contract.operations.filter((operation) => !succeeded.has(operation))).toEqual([]);
});

/** They answer from memory. */
const WITHOUT_DATABASE = [
  'GET /api/auth/oidc',
  'GET /.well-known/ssf-configuration',
  'GET /.well-known/jwks.json',
  'GET /.well-known/oauth-authorization-server',
];
/** Commands that no timer and no work after a response sends. */
const ONLY_OF_REQUESTS = [
  ...['insert sessions', 'find sessions', 'findAndModify sessions', 'aggregate users'],
  ...['insert service_accounts', 'find factors', 'find passkeys', 'insert jobs'],
];

test('the commands of each operation carry the id of their request', () => {
  const lacking = contract.operations.filter((operation) => !commands.withId.has(operation));
  expect(lacking.sort()).toEqual(WITHOUT_DATABASE.toSorted());
  expect([...commands.foreign]).toEqual([]);
  // A purge begins with the removal; on a busy machine its commands are sent after the response.
  const isPurge = (late: string) =>
    /^DELETE \/api\/users\/\S+: (delete |find service_accounts$)/.test(late);
  expect([...commands.late].filter((late) => !isPurge(late))).toEqual([]);
  expect(ONLY_OF_REQUESTS.filter((command) => commands.withoutId.has(command))).toEqual([]);
});

interface Documented {
  readonly security: readonly object[];
  readonly parameters: readonly { readonly $ref?: string }[];
  readonly requestBody?: { readonly content: object } | undefined;
}

function statusesOf({ security, parameters, requestBody }: Documented): string[] {
  const takesKey = parameters.some(({ $ref = '' }) => $ref.endsWith('/Idempotency-Key'));
  // Form requests get responses according to RFC 6749.
  const isJson = requestBody !== undefined && 'application/json' in requestBody.content;
  return [
    ...['400', '406', '408', '417', '429', '431', '500', '503'],
    ...(security.some((one) => 'bearer' in one) ? ['401', '403'] : []),
    ...(requestBody === undefined ? [] : ['413', '415']),
    ...(isJson ? ['422'] : []),
    ...(takesKey ? ['409', '422'] : []),
  ];
}

test('the document lists every problem status for the operations that can return it', async () => {
  const { paths } = (await plain('GET', '/openapi.json')).json;
  for (const [path, item] of Object.entries<Record<string, Documented & { responses: object }>>(
    paths,
  )) {
    for (const [method, { security, parameters, responses, requestBody }] of Object.entries(item)) {
      const wanted = statusesOf({ security, parameters, requestBody });
      expect([path, method, wanted.filter((status) => !(status in responses))]).toEqual([
        path,
        method,
        [],
      ]);
    }
  }
});

test('the check detects a status, a body and a media type that are not in the document', () => {
  const headers = new Headers({ 'content-type': 'application/json', 'x-request-id': 'x' });
  const answer = { method: 'GET', path: '/api/auth/profile', status: 200, headers, text: '{}' };
  expect(contract.fault({ ...answer, json: {} })).toMatch(/is not as documented/);
  expect(contract.fault({ ...answer, status: 418, json: {} })).toMatch(/418 is not documented/);
  const html = new Headers({ 'content-type': 'text/html', 'x-request-id': 'x' });
  expect(contract.fault({ ...answer, headers: html, json: undefined })).toMatch(
    /is not documented as text\/html/,
  );
  expect(contract.fault({ ...answer, text: '', json: undefined })).toMatch(/has no body/);
  expect(contract.fault({ ...answer, headers: new Headers(), json: {} })).toMatch(
    /has no X-Request-Id/,
  );
  expect(
    contract.fault({
      ...answer,
      headers: new Headers({ 'x-request-id': 'x', location: '/' }),
      json: {},
    }),
  ).toMatch(/an undocumented Location/);
  expect(
    contract.fault({
      ...answer,
      headers: new Headers({
        'x-request-id': 'x',
        'access-control-allow-origin': 'x'.repeat(9999),
      }),
      json: {},
    }),
  ).toMatch(/a wrong Access/);
  expect(contract.fault({ ...answer, status: 500, json: {} })).toMatch(/is an internal error/);
});

const WEBAUTHN_NAMES = [
  ...['rawId', 'authenticatorAttachment', 'clientDataJSON', 'clientExtensionResults'],
  ...['attestationObject', 'credProps', 'authenticatorData', 'userHandle', 'displayName'],
  ...['pubKeyCredParams', 'excludeCredentials', 'authenticatorSelection', 'residentKey'],
  ...['requireResidentKey', 'userVerification', 'rpId', 'allowCredentials'],
];

const RFC8936_NAMES = ['maxEvents', 'returnImmediately', 'setErrs', 'moreAvailable'];

test('members, parameters and their values are snake_case', async () => {
  const document = (await plain('GET', '/openapi.json')).json;
  const names: string[] = [];
  JSON.stringify(document, (key, value: unknown) => {
    if (key === 'properties') names.push(...Object.keys(value as object));
    if (key === 'enum')
      names.push(...(value as unknown[]).filter((one) => typeof one === 'string'));
    if (key === 'parameters' && Array.isArray(value))
      names.push(...value.flatMap(({ name, in: where }) => (where === 'query' ? [name] : [])));
    return value;
  });
  expect(names).toEqual(expect.arrayContaining(['created_at', '-created_at', 'next_cursor']));
  // Names of RFC 8037 and of WebAuthn Level 3, which browsers read and write themselves.
  const foreign = new Set(['EdDSA', ...WEBAUTHN_NAMES, ...RFC8936_NAMES]);
  expect(names).toEqual(expect.arrayContaining([...foreign]));
  expect(names.filter((name) => !foreign.has(name) && /[a-z][A-Z]/.test(name))).toEqual([]);
});
