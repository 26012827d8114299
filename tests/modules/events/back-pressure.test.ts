import { createLocks } from '../../../src/platform/mongo/locks';
import { startTestService, type TestService } from '../../support/app';
import { type Client, createClient, eventually, login, register } from '../../support/http';

let service: TestService;
let client: Client;
let admin: string;

beforeAll(async () => {
  service = await startTestService();
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

/** Does `work` while nothing moves events to the log. */
async function withoutPump(work: () => Promise<void>): Promise<void> {
  const locks = createLocks(service.database.connection, { ttlMs: 60_000, timeoutMs: 5000 });
  await eventually('the lock of the pump', async () => {
    let isDone = false;
    await locks
      .withLock('event-pump', async () => {
        isDone = true;
        await work();
      })
      .catch((error: { code?: string }) => {
        if (error.code !== 'busy') throw error;
      });
    return isDone;
  });
}

test('where nothing takes events away, a user takes 64 changes; then writes are refused, none lost', async () => {
  const { user, access_token: token } = await register(client);
  const rename = (i: number) =>
    client('PATCH', `/api/users/${user.id}`, { token: admin, body: { name: `Name ${i}` } });
  let changes = 0;
  await withoutPump(async () => {
    for (;;) {
      const { status, json, headers } = await rename(changes);
      if (status !== 200) {
        expect(status).toBe(503);
        // Whichever ends its attempts first: their number, or the deadline of the write.
        expect(['contended', 'database_unavailable']).toContain(json.code);
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
        break;
      }
      changes += 1;
    }
    // The creation may have waited too.
    expect([63, 64]).toContain(changes);
    const { json } = await client('GET', `/api/users/${user.id}`, { token: admin });
    expect(json.name).toBe(`Name ${changes - 1}`);
    // Nobody keeps a session because of it.
    expect((await client('POST', '/api/auth/logout', { token })).status).toBe(204);
    expect((await client('GET', '/api/auth/profile', { token })).status).toBe(401);
  });
  await eventually('room for a change', async () => (await rename(changes)).status === 200);
  const types = await eventually('all events', async () => {
    const { json } = await client('GET', '/api/events?limit=1000', { token: admin });
    const events = json.data as { subject: string; type: string }[];
    const mine = events.filter(({ subject }) => subject === user.id).map(({ type }) => type);
    return mine.filter((type) => type === 'user.updated').length >= changes + 1 && mine;
  });
  expect(types.filter((type) => type === 'user.updated')).toHaveLength(changes + 1);
  expect(types).toEqual(expect.arrayContaining(['user.created', 'user.sessions_ended']));
});
