import { type MongoProxy, startMongoProxy } from '../../../../faults/mongo-proxy';
import { startTestService, type TestService } from '../../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
} from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

/** Two hosts on one database; the second reaches it through the proxy. */
let mongo: TestMongo;
let proxy: MongoProxy;
let hosts: readonly TestService[];
let near: Client;
let far: Client;
beforeAll(async () => {
  mongo = await startTestMongo();
  proxy = await startMongoProxy(mongo.uri);
  hosts = [await startTestService({}, mongo), await startTestService({}, proxy)];
  near = createClient(hosts[0]?.baseUrl ?? '');
  far = createClient(hosts[1]?.baseUrl ?? '');
});
afterEach(() => proxy.pass());
afterAll(async () => {
  for (const host of hosts ?? []) await host.close();
  await proxy?.close();
  await mongo?.close();
});

const WAYS = [
  ['service account', '/api/service-accounts', { name: 'Held up', scopes: ['users:read'] }],
  ['webhook', '/api/webhooks', { url: 'https://crm.example.org/hook', description: 'Held up' }],
] as const;

test.each(WAYS)('an administrator that is demoted meanwhile gets no %s', async (_, path, body) => {
  const host = hosts[0] as TestService;
  const admin = await login(near, host.admin.email, host.admin.password);
  const { user } = await register(near);
  const give = (role: string) =>
    near('PATCH', `/api/users/${user.id}`, { token: admin, body: { role } });
  expect((await give('admin')).status).toBe(200);
  const token = await login(near, user.email, PASSWORD);
  proxy.holdFrom('Held up');
  const creating = far('POST', path, { token, body });
  await eventually('the write', () => proxy.isHolding());
  expect((await give('user')).status).toBe(200);
  proxy.release();
  const { status, json } = await creating;
  expect([status, json.code]).toEqual([401, 'invalid_token']);
  expect((await near('GET', path, { token: admin })).json.data).toEqual([]);
});
