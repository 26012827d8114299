import { type MongoProxy, startMongoProxy } from '../../../../faults/mongo-proxy';
import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, eventually, login } from '../../../support/http';
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
  const direct = await startTestService({}, mongo);
  hosts = [direct, await startTestService({}, proxy)];
  near = createClient(direct.baseUrl);
  far = createClient(hosts[1]?.baseUrl ?? '');
});
afterAll(async () => {
  for (const host of hosts ?? []) await host.close();
  await proxy?.close();
  await mongo?.close();
});

test('a session that has ended leaves no service account', async () => {
  const { email, password } = (hosts[0] as TestService).admin;
  const token = await login(near, email, password);
  const own = await login(near, email, password);
  const body = { name: 'Nightly report', scopes: ['users:read'] };
  proxy.holdFrom('secretHash');
  const creating = far('POST', '/api/service-accounts', { token, body });
  await eventually('the write', () => proxy.isHolding());
  const ended = await near('POST', '/api/auth/logout?scope=global', { token: own });
  proxy.release();
  expect(ended.status).toBe(204);
  expect((await creating).json.code).toBe('invalid_token');
  const again = await login(near, email, password);
  expect((await near('GET', '/api/service-accounts', { token: again })).json.data).toEqual([]);
});
