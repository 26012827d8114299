import { setTimeout as sleep } from 'node:timers/promises';
import type { MongoProxy } from '../../../faults/mongo-proxy';
import { type Answer, type Client, login } from '../../support/http';
import { startTwoHosts, type TwoHosts } from '../../support/two-hosts';

let hosts: TwoHosts;
let near: Client;
let far: Client;
let proxy: MongoProxy;
let token: string;
beforeAll(async () => {
  hosts = await startTwoHosts({ DB_OPERATION_TIMEOUT_MS: '1000' });
  ({ near, far, proxy } = hosts);
  const { email, password } = hosts.nearHost.admin;
  token = await login(near, email, password);
});
afterEach(() => proxy.pass());
afterAll(() => hosts?.close());

const stored = (_id: string) =>
  hosts.nearHost.database.connection.collection<{ _id: string }>('webhooks').findOne({ _id });
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
    const late = await hosts.heldFrom(onWebhooks(command), () => change(far, path));
    expect((await late.answer).status).toBe(503);
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
