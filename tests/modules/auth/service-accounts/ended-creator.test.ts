import type { MongoProxy } from '../../../../faults/mongo-proxy';
import { type Client, login, PASSWORD, register } from '../../../support/http';
import { startTwoHosts, type TwoHosts } from '../../../support/two-hosts';

let hosts: TwoHosts;
let near: Client;
let far: Client;
let proxy: MongoProxy;
beforeAll(async () => {
  hosts = await startTwoHosts();
  ({ near, far, proxy } = hosts);
});
afterEach(() => proxy.pass());
afterAll(() => hosts?.close());

const WAYS = [
  ['service account', '/api/service-accounts', { name: 'Held up', scopes: ['users:read'] }],
  ['webhook', '/api/webhooks', { url: 'https://crm.example.org/hook', description: 'Held up' }],
] as const;

test.each(WAYS)('an administrator that is demoted meanwhile gets no %s', async (_, path, body) => {
  const { email, password } = hosts.nearHost.admin;
  const admin = await login(near, email, password);
  const { user } = await register(near);
  const give = (role: string) =>
    near('PATCH', `/api/users/${user.id}`, { token: admin, body: { role } });
  expect((await give('admin')).status).toBe(200);
  const token = await login(near, user.email, PASSWORD);
  const creating = await hosts.heldFrom('Held up', () => far('POST', path, { token, body }));
  expect((await give('user')).status).toBe(200);
  proxy.release();
  const { status, json } = await creating.answer;
  expect([status, json.code]).toEqual([401, 'invalid_token']);
  expect((await near('GET', path, { token: admin })).json.data).toEqual([]);
});

test('a session that has ended leaves no service account', async () => {
  const { email, password } = hosts.nearHost.admin;
  const token = await login(near, email, password);
  const own = await login(near, email, password);
  const body = { name: 'Nightly report', scopes: ['users:read'] };
  const creating = await hosts.heldFrom('secretHash', () =>
    far('POST', '/api/service-accounts', { token, body }),
  );
  const ended = await near('POST', '/api/auth/logout?scope=global', { token: own });
  proxy.release();
  expect(ended.status).toBe(204);
  expect((await creating.answer).json.code).toBe('invalid_token');
  const again = await login(near, email, password);
  expect((await near('GET', '/api/service-accounts', { token: again })).json.data).toEqual([]);
});
