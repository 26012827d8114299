import { startTestService, type TestService } from '../support/app';
import { type Contract, createContract } from '../support/contract';
import { type Client, createClient, login, PASSWORD, register, uniqueEmail } from '../support/http';
import { startTestSmtp, type TestSmtp } from '../support/smtp';

let smtp: TestSmtp;
let service: TestService;
let plain: Client;
let contract: Contract;
const faults: string[] = [];

beforeAll(async () => {
  smtp = await startTestSmtp(0);
  service = await startTestService({ SMTP_URL: smtp.url });
  plain = createClient(service.baseUrl);
  contract = createContract((await plain('GET', '/openapi.json')).json as object);
});
afterAll(async () => {
  await service?.close();
  await smtp?.close();
});

const client: Client = async (method, path, options) => {
  const answer = await plain(method, path, options);
  const { status, text, json, headers } = answer;
  const fault = contract.fault({ method, path, status, text, json, contentType: headers.get('content-type') });
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
  await client('POST', '/api/auth/email/verify', { body: { token: welcome } });
  await client('POST', '/api/auth/email/verify', { body: { token: welcome } });
  await client('POST', '/api/auth/email/verification', { token });
  await client('POST', '/api/auth/email/change', { token, body: { new_email: uniqueEmail(), current_password: PASSWORD } });
  const profile = await client('GET', '/api/auth/profile', { token });
  await client('GET', '/api/auth/profile', { token, headers: { 'if-none-match': profile.headers.get('etag') ?? '' } });
  await client('HEAD', '/api/auth/profile', { token });
  const sessions = await client('GET', '/api/auth/sessions', { token });
  await login(client, email, PASSWORD);
  await client('PATCH', '/api/auth/password', { token, body: { current_password: PASSWORD, new_password: `${PASSWORD} 2` } });
  const { json } = await client('POST', '/api/auth/refresh', { body: { refresh_token: user.refresh_token } });
  await client('GET', '/api/users', { token });
  await client('DELETE', `/api/auth/sessions/${NOBODY}`, { token });
  await client('POST', '/api/auth/logout?scope=others', { token });
  await client('POST', '/api/auth/revoke', form({ token: json.refresh_token }));
  const from = smtp.mails.length;
  await client('POST', '/api/auth/password/forgot', { body: { email } });
  const reset = tokenIn((await smtp.waitFor(email, /Set a new password/, from)).text);
  await client('POST', '/api/auth/password/reset', { body: { token: reset, new_password: PASSWORD } });
  expect(sessions.json.data).toHaveLength(1);
}

async function asAdministrator(): Promise<void> {
  const token = await login(client, service.admin.email, service.admin.password);
  const created = await client('POST', '/api/users', { token, body: { name: 'Ada', email: uniqueEmail(), password: PASSWORD } });
  const path = `/api/users/${created.json.id}`;
  await client('GET', path, { token });
  await client('PUT', path, { token, body: { name: 'Ada', email: uniqueEmail() } });
  await client('PATCH', path, { token, body: { name: 'Ada King' } });
  await client('PATCH', path, { token, body: { name: 'x' }, headers: { 'if-match': '"r0"' } });
  await client('GET', '/api/users?limit=1&count=true', { token });
  await client('GET', '/api/audit-events?limit=100', { token });
  await client('DELETE', path, { token });
  await client('GET', path, { token });
  await client('DELETE', '/api/users/me', { token });
  const account = await client('POST', '/api/service-accounts', {
    token,
    body: { name: 'Machine', scopes: ['tokens:introspect', 'users:read'] },
  });
  const credentials = { client_id: account.json.id as string, client_secret: account.json.client_secret as string };
  const machine = await client('POST', '/api/auth/token', form({ grant_type: 'client_credentials', ...credentials }));
  await client('POST', '/api/auth/token', form({ grant_type: 'password' }));
  await client('POST', '/api/auth/introspect', form({ token: machine.json.access_token, ...credentials }));
  await client('POST', '/api/auth/introspect', form({ token: 'unknown', ...credentials }));
  await client('POST', '/api/auth/introspect', form({ token: 'unknown' }));
  await client('GET', '/api/auth/profile', { token: machine.json.access_token });
  await client('GET', '/api/service-accounts', { token });
  await client('DELETE', `/api/service-accounts/${account.json.id}`, { token });
  await client('GET', '/.well-known/jwks.json');
  await client('GET', '/.well-known/oauth-authorization-server');
}

test('every operation was seen to succeed, and each answer was as the document says', async () => {
  await asUser();
  await asAdministrator();
  expect(faults).toEqual([]);
  const succeeded = new Set([...contract.seen].filter((one) => /\b2\d\d$/.test(one)).map((one) => one.replace(/ \d+$/, '')));
  expect(contract.operations.filter((operation) => !succeeded.has(operation))).toEqual([]);
});

test('a status of every kind of problem is in the document where it can occur', async () => {
  const { paths } = (await plain('GET', '/openapi.json')).json;
  for (const [path, item] of Object.entries<Record<string, { security: unknown[]; responses: object; requestBody?: object }>>(paths)) {
    for (const [method, { security, responses, requestBody }] of Object.entries(item)) {
      const wanted = [
        ...['400', '406', '429', '503'],
        ...(security.length === 0 ? [] : ['401', '403']),
        ...(requestBody === undefined ? [] : ['413', '415', '422']),
        ...(method === 'post' ? ['409', '422'] : []),
      ];
      expect([path, method, wanted.filter((status) => !(status in responses))]).toEqual([path, method, []]);
    }
  }
});

test('the check can fail: on a status, a body and a media type that are not in the document', () => {
  const answer = { method: 'GET', path: '/api/auth/profile', status: 200, contentType: 'application/json', text: '{}' };
  expect(contract.fault({ ...answer, json: {} })).toMatch(/is not as documented/);
  expect(contract.fault({ ...answer, status: 418, json: {} })).toMatch(/418 is not documented/);
  expect(contract.fault({ ...answer, contentType: 'text/html', json: undefined })).toMatch(/is not documented as text\/html/);
  expect(contract.fault({ ...answer, text: '', json: undefined })).toMatch(/has no body/);
});
