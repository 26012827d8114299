import { setTimeout as sleep } from 'node:timers/promises';
import { type MongoProxy, startMongoProxy } from '../../../faults/mongo-proxy';
import { MAX_WEBHOOKS } from '../../../src/modules/webhooks/webhook-store';
import { startTestService, type TestService } from '../../support/app';
import { type Client, createClient, login } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';

let mongo: TestMongo;
let proxy: MongoProxy;
let service: TestService;
let client: Client;
let token: string;

beforeAll(async () => {
  mongo = await startTestMongo();
  proxy = await startMongoProxy(mongo.uri);
  const settings = { DB_OPERATION_TIMEOUT_MS: '500', WEBHOOKS_ALLOWED_NETWORKS: '127.0.0.0/8' };
  service = await startTestService(settings, { uri: proxy.uri });
  client = createClient(service.baseUrl);
  token = await login(client, service.admin.email, service.admin.password);
});
afterEach(() => proxy.pass());
afterAll(async () => {
  await service?.close();
  await proxy?.close();
  await mongo?.close();
});

const create = (path: string) =>
  client('POST', '/api/webhooks', { token, body: { url: `http://127.0.0.1:9/${path}` } });
const rows = () =>
  service.database.connection.collection<{ _id: string; status: string }>('webhooks');

test('a creation that is held up on its way is 503, and no webhook when it arrives', async () => {
  proxy.holdConnectionOf('held-up');
  const answer = await create('held-up');
  expect([answer.status, answer.json.code]).toEqual([503, 'database_unavailable']);
  expect(proxy.isHolding()).toBe(true);
  proxy.release();
  // It does nothing that one could wait for.
  await sleep(300);
  expect((await client('GET', '/api/webhooks', { token })).json.data).toEqual([]);
});

test('one too many that cannot be removed is 503 write_unconfirmed', async () => {
  const ids = Array.from({ length: MAX_WEBHOOKS }, (_, i) => `${i}`);
  await rows().insertMany(ids.map((_id) => ({ _id, status: 'disabled' })));
  expect((await create('surplus')).status).toBe(409);
  // A removal from this collection, in BSON.
  proxy.loseAnswerOf('\u0002delete\u0000\u0009\u0000\u0000\u0000webhooks\u0000');
  const answer = await create('surplus');
  expect([answer.status, answer.json.code]).toEqual([503, 'write_unconfirmed']);
});
