import { Types } from 'mongoose';
import { createEventLog, type EventLog } from '../../../src/platform/event-log/event-log';
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
let eventLog: EventLog;

beforeAll(async () => {
  service = await startTestService({ NEAR_CACHE_TTL_MS: '2' });
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
  eventLog = createEventLog(service.database.connection, { timeoutMs: 5000 });
});
afterAll(() => service?.close());

interface Shown {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly sequence: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Every event of a user, once `count` of them are in the log. */
const eventsOf = (subject: string, count: number): Promise<Shown[]> =>
  eventually(`${count} events`, async () => {
    const { json } = await client('GET', '/api/events?limit=1000', { token: admin });
    const found = (json.data as Shown[]).filter((one) => one.subject === subject);
    return found.length >= count && found;
  });
const shortOf = ({ type, data }: Shown) => ({ type, ...data });

describe('the events of a user', () => {
  test('tell each write with its revision and the members that changed, and no value', async () => {
    const { id, access_token: token } = await registered();
    const at = `/api/users/${id}`;
    await client('PATCH', at, { token, body: { name: 'Renamed', user_metadata: { a: 1 } } });
    await client('PATCH', at, { token, body: { name: 'Renamed' } });
    await client('PATCH', at, { token: admin, body: { role: 'support' } });
    const until = '2999-01-01T00:00:00Z';
    await client('POST', `${at}/ban`, { token: admin, body: { reason: 'spam', until } });
    const end_sessions = false;
    await client('POST', `${at}/require-password-change`, { token: admin, body: { end_sessions } });
    await client('DELETE', at, { token: admin });
    const events = await eventsOf(id, 8);
    expect(events.map(shortOf)).toEqual([
      { type: 'user.created', revision: 1 },
      { type: 'user.updated', revision: 2, fields: ['name', 'user_metadata'] },
      { type: 'user.updated', revision: 3, fields: ['role'] },
      { type: 'user.sessions_ended', sessions: { version: 2 } },
      { type: 'user.updated', revision: 4, fields: ['status', 'ban'] },
      { type: 'user.sessions_ended', sessions: { version: 3 } },
      { type: 'user.updated', revision: 5, fields: ['password_change_required'] },
      { type: 'user.removed', revision: 6 },
    ]);
    expect(JSON.stringify(events)).not.toMatch(/Renamed|spam/);
    const sequences = events.map(({ sequence }) => Number(sequence));
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
  });

  test('tell the end of one session, of the others, and of all', async () => {
    const { id, email, access_token: first } = await registered();
    const second = await login(client, email, PASSWORD);
    const third = await login(client, email, PASSWORD);
    const sid = (token: string) =>
      JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sid as string;
    await client('POST', '/api/auth/logout', { token: first });
    await client('POST', '/api/auth/logout?scope=others', { token: second });
    await client('POST', '/api/auth/logout?scope=global', { token: second });
    expect(third).not.toBe(second);
    expect((await eventsOf(id, 4)).slice(1).map(shortOf)).toEqual([
      { type: 'user.sessions_ended', sessions: { ids: [sid(first)] } },
      { type: 'user.sessions_ended', sessions: { version: 2, kept: sid(second) } },
      { type: 'user.sessions_ended', sessions: { version: 3 } },
    ]);
  });

  test('are measured: how many, and how long after their changes they are in the log', async () => {
    const { id } = await registered();
    await eventsOf(id, 1);
    const text = await service.metrics.metrics();
    const of = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    expect(of('events_moved_total')).toBeGreaterThan(0);
    expect(of('events_lag_seconds_count')).toBe(of('events_moved_total'));
  });

  test('leave the document when they are in the log', async () => {
    const { id } = await registered();
    await eventsOf(id, 1);
    const users = service.database.connection.collection('users');
    await eventually('an empty outbox', async () => {
      const user = await users.findOne({ _id: new Types.ObjectId(id) });
      return user?.['outbox']?.length === 0;
    });
  });

  test('of a removal that is refused are none', async () => {
    const { id } = await registered();
    const headers = { 'if-match': '"another"' };
    const refused = await client('DELETE', `/api/users/${id}`, { token: admin, headers });
    expect(refused.status).toBe(412);
    await client('PATCH', `/api/users/${id}`, { token: admin, body: { name: 'Ada' } });
    const types = (await eventsOf(id, 2)).map(({ type }) => type);
    expect(types).toEqual(['user.created', 'user.updated']);
  });
});

describe('GET /api/events', () => {
  test('goes on where the answer before ended, also for some types alone', async () => {
    for (let i = 0; i < 3; i += 1) await eventsOf((await registered()).id, 1);
    const all: Shown[] = [];
    let after = 0;
    for (;;) {
      const path = `/api/events?limit=2&type=user.created&after=${after}`;
      const { json } = await client('GET', path, { token: admin });
      all.push(...(json.data as Shown[]));
      after = json.next_after as number;
      if (json.has_more === false) break;
    }
    expect(all.length).toBeGreaterThanOrEqual(3);
    expect(new Set(all.map(({ type }) => type))).toEqual(new Set(['user.created']));
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    const rest = await client('GET', `/api/events?after=${after}`, { token: admin });
    expect((rest.json.data as Shown[]).filter(({ type }) => type === 'user.created')).toEqual([]);
  });

  test('answers 410 for a sequence that is no longer kept, or that never was', async () => {
    for (let i = 0; i < 2; i += 1) await eventsOf((await registered()).id, 1);
    await eventLog.removeBefore(new Date(Date.now() + 60_000), 3);
    for (const after of [0, (await eventLog.latest()) + 1000]) {
      const { status, json } = await client('GET', `/api/events?after=${after}`, { token: admin });
      expect([after, status, json.code]).toEqual([after, 410, 'events_expired']);
    }
    const { status } = await client('GET', '/api/events', { token: admin });
    expect(status).toBe(200);
  });

  test('is for those with the permission', async () => {
    const { access_token: token } = await registered();
    expect((await client('GET', '/api/events', { token })).status).toBe(403);
    expect((await client('GET', '/api/events/stream', { token })).status).toBe(403);
  });
});

test('a stream shows each event, and goes on after Last-Event-ID', async () => {
  const before = await registered();
  await eventsOf(before.id, 1);
  const start = await eventLog.latest();
  const first = await follow(start);
  const { id } = await registered();
  const [event] = await first.until(1);
  expect(event).toMatchObject({ event: 'user.created', data: { subject: id } });
  first.close();
  const missed = await registered();
  const second = await follow(0, String(event?.id));
  const [next] = await second.until(1);
  expect(next).toMatchObject({ event: 'user.created', data: { subject: missed.id } });
  expect(Number(next?.id)).toBe(Number(event?.id) + 1);
  second.close();
});

test('a stream ends when the session of its token does', async () => {
  const token = await login(client, service.admin.email, service.admin.password);
  const stream = await follow(await eventLog.latest(), undefined, token);
  expect((await client('POST', '/api/auth/logout', { token })).status).toBe(204);
  await stream.ended();
});

test.each(['abc', '-5', '1'.repeat(16), '1, 2'])(
  'a stream does not begin again for the Last-Event-ID "%s"',
  async (id) => {
    const path = '/api/events/stream';
    const headers = { 'last-event-id': id };
    const { status, json } = await client('GET', path, { token: admin, headers });
    expect([status, json.code]).toEqual([400, 'invalid_last_event_id']);
  },
);

async function registered() {
  const { user, access_token } = await register(client);
  return { id: user.id, email: user.email, access_token };
}

async function follow(after: number, lastEventId?: string, token = admin) {
  const stop = new AbortController();
  const answer = await fetch(`${service.baseUrl}/api/events/stream?after=${after}`, {
    headers: {
      authorization: `Bearer ${token}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    signal: stop.signal,
  });
  expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  let text = '';
  return {
    close: () => stop.abort(),
    /** Until the service ends it; a test that waits in vain fails by its time limit. */
    async ended() {
      while (!(await reader.read()).done);
    },
    /** The first `count` events. */
    async until(count: number) {
      for (;;) {
        const blocks = text.split('\n\n').slice(0, -1);
        const events = blocks.filter((one) => one.includes('\ndata: ')).map(parseEvent);
        if (events.length >= count) return events.slice(0, count);
        const { value, done } = await reader.read();
        if (done) throw new Error(`the stream ended after ${text}`);
        text += Buffer.from(value).toString();
      }
    },
  };
}

function parseEvent(block: string) {
  const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s)));
  return { id: fields['id'], event: fields['event'], data: JSON.parse(String(fields['data'])) };
}
