import { Types } from 'mongoose';
import { sha256 } from '../../../src/kernel/crypto/digest';
import { createOneTimeTokens } from '../../../src/modules/auth/recovery/one-time-tokens';
import { createLocks } from '../../../src/platform/mongo/locks';
import { pendingEvent } from '../../../src/platform/outbox/pending-event';
import { startTestService, type TestService } from '../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
} from '../../support/http';

let service: TestService;
let client: Client;
let admin: string;

beforeAll(async () => {
  // Nobody listens there: mails wait.
  service = await startTestService({ JOBS_POLL_MS: '50', SMTP_URL: 'smtp://127.0.0.1:9' });
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
        expect(['contended', 'database_unavailable', 'write_unconfirmed']).toContain(json.code);
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

/** The thief of a session can leave so many events behind, and nothing moves them. */
async function filled() {
  const { user, access_token: token } = await register(client);
  const users = service.database.connection.collection('users');
  const $each = Array.from({ length: 300 }, () => pendingEvent('user.updated', new Date()));
  await users.updateOne({ _id: new Types.ObjectId(user.id) }, {
    $push: { outbox: { $each } },
  } as never);
  return { ...user, token, path: `/api/users/${user.id}` };
}
type Filled = Awaited<ReturnType<typeof filled>>;

async function reset({ id, email }: Filled) {
  const tokens = createOneTimeTokens(service.database.connection, { timeoutMs: 2000 });
  const users = service.database.connection.collection('users');
  const owner = await users.findOne({ _id: new Types.ObjectId(id) });
  const replaces = sha256(String(owner?.['passwordHash']));
  const grant = { userId: id, email, accountEmail: email, replaces };
  const token = await tokens.issue({ purpose: 'reset-password', ...grant }, 600);
  const body = { token, new_password: 'another horse battery' };
  return (await client('POST', '/api/auth/password/reset', { body })).status;
}

async function bannedByImport({ email }: Filled) {
  const raw = `${JSON.stringify({ email, status: 'banned' })}\n`;
  const headers = { 'content-type': 'application/x-ndjson' };
  const path = '/api/users/import?conflict=update';
  const { json } = await client('POST', path, { token: admin, raw, headers });
  const job = await eventually('the end of the import', async () => {
    const found = (await client('GET', `/api/jobs/${json.id}`, { token: admin })).json;
    return !['queued', 'running'].includes(found.state) && found;
  });
  return job.progress.updated === 1 ? 200 : 503;
}

const ends: Readonly<Record<string, (user: Filled) => Promise<number>>> = {
  ban: async ({ path }) => (await client('POST', `${path}/ban`, { token: admin, body: {} })).status,
  'another role': async ({ path }) =>
    (await client('PATCH', path, { token: admin, body: { role: 'support' } })).status,
  'another password': async ({ token }) =>
    (
      await client('PATCH', '/api/auth/password', {
        token,
        body: { current_password: PASSWORD, new_password: 'another horse battery' },
      })
    ).status,
  'a reset of the password': reset,
  'a ban by an import': bannedByImport,
};

test.each(Object.entries(ends))(
  'no events that wait refuse what ends every session: %s',
  async (name, end) => {
    await withoutPump(async () => {
      const user = await filled();
      const { token } = user;
      const refused = await client('PATCH', user.path, { token, body: { name: 'A' } });
      expect(refused.status).toBe(503);
      expect([200, 204]).toContain(await end(user));
      // The one that sets another password itself goes on.
      const status = name === 'another password' ? 200 : 401;
      expect((await client('GET', '/api/auth/profile', { token })).status).toBe(status);
    });
  },
);
