import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient } from '../../../support/http';
import { formOf, impersonate, type Person, personOf } from '../../../support/impersonation';

let service: TestService;
let client: Client;

beforeAll(async () => {
  service = await startTestService({
    ROLES: 'warden=users:read+users:write+users:ban+sessions:end',
  });
  client = createClient(service.baseUrl);
});
afterAll(() => service?.close());

const of = (role: string) => personOf(service, client, role);

interface Operation {
  readonly 'x-permission'?: string;
}

/** What docs/users.md lists under Administration, as METHOD /path. */
function listed(): string[] {
  const page = readFileSync(resolve(__dirname, '../../../../../docs/users.md'), 'utf8');
  const section = page.split('\n## Administration\n')[1] ?? '';
  const table = section.split('\n').filter((line) => line.startsWith('| '));
  return table.flatMap((line) => [
    ...[...line.matchAll(/`([A-Z]+ \/api\/[\w/:-]+)/g)].map(([, one]) => one as string),
  ]);
}

/** Writes to other accounts that other pages have, and what they ask for. */
const ELSEWHERE = [
  // A mail to the owner of the address shuts nobody out.
  'POST /api/users/:id/invite',
  'POST /api/users/:id/send-password-reset',
  // With a recent login; service accounts cannot.
  'DELETE /api/users/:id/factors',
];

const bodyOf = (operation: string, id: string): { body?: object } => {
  if (!operation.startsWith('POST')) return {};
  return { body: /\/(ban|delete)$/.test(operation) && !operation.includes(':id') ? ids(id) : {} };
};
const ids = (id: string) => ({ ids: [id] });

async function sent(operation: string, id: string, token: string) {
  const [method = '', path = ''] = operation.split(' ');
  const at = path.replace(':id', id).replace(':sessionId', '0'.repeat(24));
  const { status, json } = await client(method, at, { token, ...bodyOf(operation, id) });
  return [operation, status, json?.code];
}

test('docs/users.md lists every write of administrators to other accounts', async () => {
  const paths = (await client('GET', '/openapi.json')).json.paths as Record<
    string,
    Record<string, Operation>
  >;
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, operation]) =>
      method !== 'get' &&
      operation['x-permission'] !== undefined &&
      /^\/api\/users\/(\{id\}\/|ban$|delete$)/.test(path)
        ? [`${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`]
        : [],
    ),
  );
  expect([...listed(), ...ELSEWHERE].toSorted()).toEqual(operations.toSorted());
});

test.each(listed())('%s asks a user for a recent login, whatever it may do', async (operation) => {
  const [actor, target] = await Promise.all([of('warden'), of('user')]);
  const aged = { createdAt: new Date(Date.now() - 3_600_000) };
  const sessions = service.database.connection.collection('sessions');
  await sessions.updateMany({ userId: actor.id }, { $set: aged });
  const refused = [operation, 401, 'insufficient_user_authentication'];
  expect(await sent(operation, target.id, actor.token)).toEqual(refused);
  const profile = await client('GET', '/api/auth/profile', { token: target.token });
  expect([profile.status, profile.json.status ?? 'active']).toEqual([200, 'active']);
});

test.each(listed())('%s is refused to who acts as an administrator', async (operation) => {
  const [actor, target, root] = await Promise.all([of('warden'), of('user'), of('admin')]);
  const token = await impersonate(client, actor, root);
  expect(await sent(operation, target.id, token)).toEqual([
    operation,
    ...[403, 'impersonation_forbidden'],
  ]);
});

test('a service account ends sessions without a login', async () => {
  const [root, target]: Person[] = await Promise.all([of('admin'), of('user')]);
  const body = { name: 'Ends', scopes: ['sessions:end'] };
  const made = await client('POST', '/api/service-accounts', { token: root?.token ?? '', body });
  const { id, client_secret } = made.json;
  const grant = { grant_type: 'client_credentials', client_id: id, client_secret };
  const token = (await client('POST', '/api/auth/token', formOf(grant))).json.access_token;
  const operation = 'DELETE /api/users/:id/sessions';
  expect(await sent(operation, target?.id ?? '', token)).toEqual([operation, 204, undefined]);
});

/** What outlives the session, or takes the data of all users out or in. */
const LASTING = [
  ['POST', '/api/webhooks', { url: 'https://crm.example.org/hook' }],
  ['PATCH', '/api/webhooks/:hook', { url: 'https://other.example.org/hook' }],
  ['POST', '/api/webhooks/:hook/secret', undefined],
  ['POST', '/api/users/import', undefined],
  ['GET', '/api/users/export', undefined],
] as const;

test.each(LASTING)('%s %s asks for a recent login', async (method, path, body) => {
  const root = await of('admin');
  const url = 'https://crm.example.org/hook';
  const hook = await client('POST', '/api/webhooks', { token: root.token, body: { url } });
  expect(hook.status).toBe(201);
  const import_ = { raw: '{}\n', headers: { 'content-type': 'application/x-ndjson' } };
  const send = () =>
    client(method, path.replace(':hook', hook.json.id), {
      token: root.token,
      ...(path.endsWith('/import') ? import_ : body && { body }),
    });
  expect((await send()).status).toBeLessThan(300);
  const aged = { createdAt: new Date(Date.now() - 3_600_000) };
  const sessions = service.database.connection.collection('sessions');
  await sessions.updateMany({ userId: root.id }, { $set: aged });
  const { status, json } = await send();
  expect([status, json.code]).toEqual([401, 'insufficient_user_authentication']);
});
