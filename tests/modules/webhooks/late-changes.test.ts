import { setTimeout as sleep } from 'node:timers/promises';
import { type MongoProxy, startMongoProxy } from '../../../faults/mongo-proxy';
import { startTestService, type TestService } from '../../support/app';
import { type Answer, type Client, createClient, eventually, login } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';

/** Two hosts on one database; the second reaches it through the proxy. */
let mongo: TestMongo;
let proxy: MongoProxy;
let hosts: readonly TestService[];
let near: Client;
let far: Client;
let token: string;
beforeAll(async () => {
  mongo = await startTestMongo();
  proxy = await startMongoProxy(mongo.uri);
  const settings = { DB_OPERATION_TIMEOUT_MS: '1000' };
  const direct = await startTestService(settings, mongo);
  hosts = [direct, await startTestService(settings, proxy)];
  near = createClient(direct.baseUrl);
  far = createClient(hosts[1]?.baseUrl ?? '');
  token = await login(near, direct.admin.email, direct.admin.password);
});
afterAll(async () => {
  proxy?.pass();
  for (const host of hosts ?? []) await host.close();
  await proxy?.close();
  await mongo?.close();
});

const stored = (_id: string) =>
  hosts[0]?.database.connection.collection<{ _id: string }>('webhooks').findOne({ _id });
/** The beginning of a command on the collection, as it is sent. */
const onWebhooks = (command: string) => `\u0002${command}\u0000\u0009\u0000\u0000\u0000webhooks`;

type Change = (by: Client, path: string) => Promise<Answer>;
const changes: readonly [string, string, Change][] = [
  [
    'a change',
    'findAndModify',
    (by, path) => by('PATCH', path, { token, body: { description: 'Late', status: 'disabled' } }),
  ],
  ['a new secret', 'findAndModify', (by, path) => by('POST', `${path}/secret`, { token })],
  ['a removal', 'delete', (by, path) => by('DELETE', path, { token })],
];

test.each(changes)(
  '%s that was held up until its caller was told 503 undoes nothing',
  async (_what, command, change) => {
    const body = { url: 'https://crm.example.org/hook' };
    const { json } = await near('POST', '/api/webhooks', { token, body });
    const path = `/api/webhooks/${json.id}`;
    proxy.holdFrom(onWebhooks(command));
    const late = change(far, path);
    await eventually('the write', () => proxy.isHolding());
    expect((await late).status).toBe(503);
    const newer = { token, body: { description: 'Newer', status: 'disabled' } };
    expect((await near('PATCH', path, newer)).status).toBe(200);
    expect((await near('POST', `${path}/secret`, { token })).status).toBe(200);
    const before = await stored(json.id);
    proxy.release();
    await sleep(300);
    expect(await stored(json.id)).toEqual(before);
    // The same, not held up.
    expect((await change(near, path)).status).toBeLessThan(300);
    expect(await stored(json.id)).not.toEqual(before);
  },
);
