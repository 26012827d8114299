import { createWebhookStore, MAX_WEBHOOKS } from '../../../src/modules/webhooks/webhook-store';
import { createEventLog } from '../../../src/platform/event-log/event-log';
import { createPendingLook } from '../../../src/platform/outbox/outbox-source';
import { startTestService, type TestService } from '../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
} from '../../support/http';
import { startTestSmtp, type TestSmtp } from '../../support/smtp';
import {
  accept,
  refuse,
  startWebhookReceiver,
  verify,
  type WebhookReceiver,
} from '../../support/webhook-receiver';

let smtp: TestSmtp;
let service: TestService;
let client: Client;
let admin: string;
let receiver: WebhookReceiver;
const created: string[] = [];
const OUTBOXES = [{ collection: 'users' }, { collection: 'user_removals' }] as const;
let anyPending: () => Promise<boolean>;

beforeAll(async () => {
  smtp = await startTestSmtp();
  service = await startTestService({
    SMTP_URL: smtp.url,
    WEBHOOKS_ALLOWED_NETWORKS: '127.0.0.0/8',
    WEBHOOKS_RETRY_SECONDS: '1,1',
    WEBHOOKS_TIMEOUT_MS: '2000',
    ROLES: 'hooks=webhooks:manage',
  });
  client = createClient(service.baseUrl);
  anyPending = createPendingLook(service.database.connection, OUTBOXES, 5000);
  admin = await login(client, service.admin.email, service.admin.password);
});
afterAll(async () => {
  await service?.close();
  await smtp?.close();
});
beforeEach(async () => {
  receiver = await startWebhookReceiver();
});
afterEach(async () => {
  for (const id of created.splice(0)) await api('DELETE', id);
  await receiver?.close();
});

const api = (method: string, path: string, body?: unknown) =>
  client(method, path === '' ? '/api/webhooks' : `/api/webhooks/${path}`, {
    token: admin,
    ...(body === undefined ? {} : { body }),
  });

/** Of what was done before: a webhook without `after` begins at the end of the log. */
const allEventsInLog = () => eventually('no pending event', async () => !(await anyPending()));

async function createWebhook(body: object = {}): Promise<{ id: string; secret: string }> {
  await allEventsInLog();
  const answer = await api('POST', '', { url: `${receiver.url}/hook`, ...body });
  expect(answer.status).toBe(201);
  created.push(answer.json.id);
  return answer.json;
}
const rename = (id: string, name: string) =>
  client('PATCH', `/api/users/${id}`, { token: admin, body: { name } });
const newUser = async () => (await register(client)).user.id;
const accepted = (count: number) =>
  eventually(`${count} deliveries`, () => receiver.accepted.length >= count, 30_000);
const deliveriesOf = async (id: string, query = '') =>
  (await api('GET', `${id}/deliveries${query}`)).json.data;
const rows = () => service.database.connection.collection<{ _id: string }>('webhooks');

describe('delivery', () => {
  test('each event arrives signed, as readers of the log get it, those of a user in order', async () => {
    const { id, secret } = await createWebhook();
    const users = await Promise.all([newUser(), newUser(), newUser()]);
    for (const name of ['One', 'Two', 'Three'])
      await Promise.all(users.map((u) => rename(u, name)));
    await accepted(12);
    const { json } = await client('GET', '/api/events?limit=1000', { token: admin });
    const log = new Map((json.data as { id: string }[]).map((event) => [event.id, event]));
    for (const one of receiver.received) {
      expect(verify(secret, one)).toEqual(log.get(String(one.headers['webhook-id'])));
      expect(one.headers['content-type']).toBe('application/cloudevents+json');
    }
    expect(receiver.received).toHaveLength(12);
    for (const user of users) {
      const sequences = receiver.received
        .filter(({ subject }) => subject === user)
        .map(({ sequence }) => sequence);
      expect(sequences).toHaveLength(4);
      expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    }
    const seen = await eventually('the position', async () => {
      const webhook = (await api('GET', id)).json;
      return webhook.position >= Math.max(...receiver.received.map((r) => r.sequence)) && webhook;
    });
    expect(seen).toMatchObject({ status: 'enabled', failing_since: null, last_failure: null });
    expect(JSON.stringify((await api('GET', '')).json)).not.toContain('whsec_');
  });

  test('a webhook gets the types that it asks for, from where it asks for', async () => {
    const user = await newUser();
    await rename(user, 'Before');
    await allEventsInLog();
    const { json } = await client('GET', '/api/events?limit=1000', { token: admin });
    const mine = (json.data as { sequence: string; subject: string }[]).filter(
      ({ subject }) => subject === user,
    );
    const after = Number(mine[0]?.sequence) - 1;
    await createWebhook({ types: ['user.updated', 'user.removed'], after });
    await client('DELETE', `/api/users/${user}`, { token: admin });
    await accepted(2);
    expect(receiver.received.map(({ type }) => type)).toEqual(['user.updated', 'user.removed']);
  });

  test('an event that is refused is sent again, and holds up no other user', async () => {
    const [bad, good] = await Promise.all([newUser(), newUser()]);
    const { id } = await createWebhook();
    let isFixed = false;
    receiver.answerWith(({ subject }, res) =>
      res.writeHead(subject === bad && !isFixed ? 500 : 200).end(),
    );
    await rename(bad, 'First');
    await rename(good, 'First');
    await accepted(1);
    const [waiting] = await eventually('the delivery', async () => {
      const found = await deliveriesOf(id, '?state=waiting');
      return found.length === 1 && found;
    });
    expect(waiting).toMatchObject({
      type: 'user.updated',
      last_failure: { reason: 'status', status: 500 },
    });
    isFixed = true;
    await accepted(2);
    const ids = receiver.received
      .filter((r) => r.subject === bad)
      .map((r) => r.headers['webhook-id']);
    expect(new Set(ids).size).toBe(1);
    await eventually('no delivery is left', async () => (await deliveriesOf(id)).length === 0);
  });

  test('after the last attempt it is a dead letter, and is sent again when asked for', async () => {
    const user = await newUser();
    const { id } = await createWebhook();
    receiver.answerWith(refuse(503));
    await rename(user, 'Dead');
    const [dead] = await eventually(
      'the dead letter',
      async () => {
        const found = await deliveriesOf(id, '?state=dead');
        return found.length === 1 && found;
      },
      30_000,
    );
    expect(dead).toMatchObject({ attempts: 3, next_attempt_at: null });
    expect(receiver.received).toHaveLength(3);
    receiver.answerWith(accept);
    expect((await api('POST', `${id}/redeliver`, { failed: true })).json).toEqual({ count: 1 });
    await accepted(1);
    // Also one that was delivered, and every one after a sequence.
    const { sequence } = dead;
    expect((await api('POST', `${id}/redeliver`, { sequence })).status).toBe(202);
    await accepted(2);
    expect((await api('POST', `${id}/redeliver`, { after: sequence - 1 })).status).toBe(202);
    await accepted(3);
    expect(new Set(receiver.accepted.map((one) => one.sequence))).toEqual(new Set([sequence]));
  });

  test('a receiver that is away gets few requests, and everything when it is back', async () => {
    const users = await Promise.all(Array.from({ length: 30 }, newUser));
    await createWebhook();
    receiver.answerWith((_event, res) => void res.destroy());
    await Promise.all(users.map((user) => rename(user, 'Meanwhile')));
    await eventually('an attempt', () => receiver.received.length > 0);
    // The first batch, and then one event after each pause.
    const sequences = () => new Set(receiver.received.map(({ sequence }) => sequence)).size;
    await eventually('a second look', () => sequences() >= 17, 30_000);
    expect(sequences()).toBeLessThan(25);
    receiver.answerWith(accept);
    await accepted(30);
    expect(new Set(receiver.accepted.map(({ subject }) => subject))).toEqual(new Set(users));
  });

  test('a claim keeps other processes away, and one that is over changes nothing', async () => {
    const user = await newUser();
    const { id } = await createWebhook();
    const options = { timeoutMs: 2000, now: Date.now };
    const other = createWebhookStore(service.database.connection, options);
    const claimed = await eventually(
      'the claim',
      async () => (await other.claim(id, 3000)) ?? false,
    );
    await rename(user, 'Late');
    expect(await other.claim(id, 3000)).toBeNull();
    // Its lease runs out, as that of a process that died.
    await accepted(1);
    const outcome = { delivered: 0, failed: 1, pauseMs: 1, isGone: true };
    expect(await other.settle(claimed, { ...outcome, position: 0 }, 1)).toBeNull();
    expect((await api('GET', id)).json.status).toBe('enabled');
  });
});

describe('events that expire before they are sent', () => {
  const log = () => createEventLog(service.database.connection, { timeoutMs: 2000 });
  /** The log keeps one event: the newest. */
  async function expire(): Promise<number> {
    const user = await newUser();
    const last = await eventually('the newest event', async () => {
      const [event] = await log().ofSubject(user, 1);
      return event?.sequence ?? false;
    });
    await log().removeBefore(new Date(Date.now() + 60_000), 100_000);
    return last;
  }

  test('are said to be lost, and the others are sent', async () => {
    const user = await newUser();
    const { id } = await createWebhook();
    await api('PATCH', id, { status: 'disabled' });
    await rename(user, 'Lost');
    const { position: after } = (await api('GET', id)).json;
    const before = await expire();
    const enabled = await api('PATCH', id, { status: 'enabled' });
    expect(enabled.json.last_gap).toBeNull();
    await accepted(1);
    expect(receiver.accepted[0]?.sequence).toBe(before);
    const shown = await eventually('the gap', async () => (await api('GET', id)).json.last_gap);
    expect(shown).toMatchObject({ after, before });
  });

  test('are dead letters where they were to be sent again', async () => {
    const user = await newUser();
    const { id } = await createWebhook();
    receiver.answerWith(refuse(500));
    await rename(user, 'Refused');
    const deliveries = service.database.connection.collection('webhook_deliveries');
    const due = (dueAt: Date) =>
      deliveries.updateMany({ webhook: id, state: 'waiting' }, { $set: { dueAt } });
    await eventually('the failure', async () => (await deliveriesOf(id)).length === 1);
    expect((await due(new Date('2999-01-01'))).matchedCount).toBe(1);
    receiver.answerWith(accept);
    await expire();
    await accepted(1);
    await due(new Date(0));
    const [dead] = await eventually('the dead letter', async () => {
      const found = await deliveriesOf(id, '?state=dead');
      return found.length === 1 && found;
    });
    expect(dead).toMatchObject({ type: null, last_failure: { status: 500 } });
  });
});

describe('a webhook is disabled', () => {
  const disabled = (id: string) =>
    eventually('the end', async () => {
      const { json } = await api('GET', id);
      return json.status === 'disabled' && json;
    });

  test('when its receiver is gone, and gets the events since then when it is enabled', async () => {
    const user = await newUser();
    const { id } = await createWebhook();
    receiver.answerWith(refuse(410));
    const from = smtp.mails.length;
    await rename(user, 'Gone');
    expect(await disabled(id)).toMatchObject({ disabled_reason: 'gone' });
    const mail = await smtp.waitFor(service.admin.email, /no longer sent to a webhook/, from);
    expect(mail.text).toContain(new URL(receiver.url).host);
    await rename(user, 'Meanwhile');
    receiver.answerWith(accept);
    const enabled = await api('PATCH', id, { status: 'enabled' });
    expect(enabled.json).toMatchObject({ status: 'enabled', disabled_reason: null });
    await accepted(2);
    const events = await client('GET', `/api/audit-events?subject=${id}`, { token: admin });
    expect((events.json.data as { type: string }[]).map(({ type }) => type).toSorted()).toEqual([
      'webhook_changed',
      'webhook_created',
      'webhook_disabled',
    ]);
  });

  test('when its receiver is gone for one user, and takes the events of another', async () => {
    const [a, b] = [await newUser(), await newUser()];
    const { id } = await createWebhook();
    await api('PATCH', id, { status: 'disabled' });
    await Promise.all([rename(a, 'Taken'), rename(b, 'Gone')]);
    receiver.answerWith(({ subject }, res) => {
      if (subject === a) res.writeHead(204).end();
      else setTimeout(() => res.writeHead(410).end(), 60);
    });
    await api('PATCH', id, { status: 'enabled' });
    const json = await disabled(id);
    expect(json.disabled_reason).toBe('gone');
    expect(json.last_delivered_at).not.toBeNull();
  });

  test('and asked for events behind its position, it skips nothing', async () => {
    const user = await newUser();
    const { id } = await createWebhook();
    await api('PATCH', id, { status: 'disabled' });
    await rename(user, 'Unsent');
    const latest = await eventually('the event', async () => {
      const { json } = await client('GET', '/api/events?limit=1000', { token: admin });
      const last = json.data.at(-1);
      return last.subject === user && last.type === 'user.updated' && Number(last.sequence);
    });
    const { json } = await api('POST', `${id}/redeliver`, { after: latest });
    expect(json).toEqual({ count: 0 });
    await api('PATCH', id, { status: 'enabled' });
    await eventually('the event', () =>
      receiver.accepted.some(({ sequence }) => sequence === latest),
    );
  });

  test('when nothing could be delivered for days', async () => {
    const user = await newUser();
    const { id } = await createWebhook();
    receiver.answerWith(refuse(500));
    await rename(user, 'First');
    await eventually('the failure', async () => (await api('GET', id)).json.failing_since !== null);
    expect((await api('GET', id)).json.status).toBe('enabled');
    const longAgo = new Date(Date.now() - 5 * 86_400_000);
    await rows().updateOne({ _id: id }, { $set: { failingSince: longAgo } });
    await rename(user, 'Second');
    expect(await disabled(id)).toMatchObject({ disabled_reason: 'failing' });
  });

  test('by hand, and then gets nothing', async () => {
    const user = await newUser();
    const { id } = await createWebhook();
    const other = await createWebhook({ url: `${receiver.url}/other` });
    await api('PATCH', id, { status: 'disabled' });
    await rename(user, 'Unseen');
    await accepted(1);
    expect(receiver.received.map(({ path }) => path)).toEqual(['/other']);
    expect((await api('GET', other.id)).json.status).toBe('enabled');
    expect((await api('GET', id)).json.disabled_reason).toBe('manual');
  });
});

describe('secrets', () => {
  test('the former one signs beside the new one for a day', async () => {
    const user = await newUser();
    const { id, secret: former } = await createWebhook();
    const { secret } = (await api('POST', `${id}/secret`)).json;
    await rename(user, 'Both');
    await accepted(1);
    const [both] = receiver.received;
    if (both === undefined) throw new Error('nothing arrived');
    for (const one of [former, secret]) expect(verify(one, both)).toBeDefined();
    // A batch that was claimed before does not go on with the secrets of its claim.
    const expired = { 'secrets.1.until': new Date(0), holder: '' };
    await rows().updateOne({ _id: id }, { $set: expired });
    await rename(user, 'One');
    await accepted(2);
    const last = receiver.received.at(-1);
    if (last === undefined) throw new Error('nothing arrived');
    expect(verify(secret, last)).toBeDefined();
    expect(() => verify(former, last)).toThrow();
  });

  test('nothing more of a batch goes to an address that was left', async () => {
    const user = await newUser();
    const { id } = await createWebhook();
    await api('PATCH', id, { status: 'disabled' });
    for (const name of ['One', 'Two', 'Three', 'Four']) await rename(user, name);
    const held: (() => void)[] = [];
    receiver.answerWith((_, res) => void held.push(() => res.writeHead(204).end()));
    await api('PATCH', id, { status: 'enabled' });
    await eventually('the first attempt', () => held.length === 1);
    const other = await startWebhookReceiver();
    try {
      await api('PATCH', id, { url: `${other.url}/new` });
      for (const answer of held) answer();
      await eventually('the rest', () => other.accepted.length >= 4);
      expect(receiver.received).toHaveLength(1);
    } finally {
      await other.close();
    }
  });

  test('two rotations at once lose neither of the new ones', async () => {
    const user = await newUser();
    const { id } = await createWebhook();
    const rotated = await Promise.all([api('POST', `${id}/secret`), api('POST', `${id}/secret`)]);
    await rename(user, 'Three signatures');
    await accepted(1);
    const [one] = receiver.received;
    if (one === undefined) throw new Error('nothing arrived');
    for (const { json } of rotated) expect(verify(json.secret, one)).toBeDefined();
  });

  test('are not in the database in clear text', async () => {
    const { id, secret } = await createWebhook();
    const row = await rows().findOne({ _id: id });
    const text = JSON.stringify(row);
    expect(text).not.toContain(secret.slice(6));
    expect(text).not.toContain(Buffer.from(secret).toString('base64').slice(0, 20));
  });
});

describe('requests', () => {
  test('many at once make no more webhooks than there may be', async () => {
    const body = { url: `${receiver.url}/hook` };
    const answers = await Promise.all(Array.from({ length: 60 }, () => api('POST', '', body)));
    for (const { status, json } of answers) if (status === 201) created.push(json.id);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201, 409]));
    expect((await rows().countDocuments({})) <= MAX_WEBHOOKS).toBe(true);
  });

  test('a test event is sent at once, and its result is the answer', async () => {
    const { id, secret } = await createWebhook();
    expect((await api('POST', `${id}/test`)).json).toMatchObject({
      ...{ result: 'delivered', status: 204, reason: null },
    });
    const [one] = receiver.received;
    if (one === undefined) throw new Error('nothing arrived');
    expect(verify(secret, one)).toMatchObject({ type: 'webhook.test' });
    receiver.answerWith(refuse(302));
    expect((await api('POST', `${id}/test`)).json).toMatchObject({
      ...{ result: 'failed', status: 302, reason: 'redirect' },
    });
  });

  test.each([
    ['http://10.0.0.1/'],
    ['https://[::1]/'],
    ['https://169.254.169.254/latest'],
    ['https://user:pass@example.org/'],
    ['https://example.org/#part'],
    ['https://'],
    ['ftp://example.org/'],
    ['https://a b/'],
    ['https://example.org:0/'],
    ['https://example.org/\u202egpj.exe'],
  ])('%s is refused', async (url) => {
    const answer = await api('POST', '', { url });
    expect([answer.status, answer.json.errors?.[0].pointer]).toEqual([422, '/url']);
  });

  test('a name that resolves to a private address is refused at each attempt', async () => {
    const away = { url: 'http://localhost:1/' };
    const strict = await startTestService({ WEBHOOKS_TIMEOUT_MS: '2000' });
    try {
      const other = createClient(strict.baseUrl);
      const token = await login(other, strict.admin.email, strict.admin.password);
      const made = await other('POST', '/api/webhooks', { token, body: away });
      const tested = await other('POST', `/api/webhooks/${made.json.id}/test`, { token });
      expect(tested.json).toMatchObject({ result: 'failed', reason: 'refused_target' });
    } finally {
      await strict.close();
    }
  });

  test('without the permission there is nothing to see or change', async () => {
    const { access_token: token } = await register(client);
    for (const [method, path] of [
      ['GET', '/api/webhooks'],
      ['POST', '/api/webhooks'],
    ] as const) {
      const body = method === 'POST' ? { body: { url: receiver.url } } : {};
      expect((await client(method, path, { token, ...body })).status).toBe(403);
    }
    const scopes = ['webhooks:manage'];
    const program = { name: 'Deploy', scopes };
    const refused = await client('POST', '/api/service-accounts', { token: admin, body: program });
    expect(refused.status).toBe(422);
  });

  test('without the permission to read events, nobody sends them to oneself', async () => {
    const { user } = await register(client);
    await client('PATCH', `/api/users/${user.id}`, { token: admin, body: { role: 'hooks' } });
    const token = await login(client, user.email, PASSWORD);
    const { id } = await createWebhook();
    await api('PATCH', id, { status: 'disabled' });
    const as = async (method: string, path: string, body?: object) => {
      const at = `/api/webhooks/${id}${path}`;
      const { status, json } = await client(method, at, { token, ...(body && { body }) });
      return [status, json?.code];
    };
    const refused = [403, 'exceeds_permissions'];
    expect(await as('PATCH', '', { url: `${receiver.url}/mine` })).toEqual(refused);
    expect(await as('PATCH', '', { types: null })).toEqual(refused);
    expect(await as('PATCH', '', { status: 'enabled' })).toEqual(refused);
    expect(await as('POST', '/secret')).toEqual(refused);
    expect(await as('POST', '/redeliver', { after: 0 })).toEqual(refused);
    expect((await as('PATCH', '', { description: 'Reviewed' }))[0]).toBe(200);
    expect((await as('PATCH', '', { status: 'disabled' }))[0]).toBe(200);
  });

  test('an unknown webhook, an unknown event and an empty change are refused', async () => {
    const { id } = await createWebhook();
    const nowhere = '0'.repeat(24);
    for (const path of [nowhere, `${nowhere}/deliveries`])
      expect((await api('GET', path)).status).toBe(404);
    expect((await api('POST', `${nowhere}/redeliver`, { failed: true })).status).toBe(404);
    expect((await api('POST', `${id}/redeliver`, { sequence: 999_999_999 })).status).toBe(410);
    expect((await api('POST', `${id}/redeliver`, { after: 999_999_999 })).status).toBe(410);
    expect((await api('POST', `${id}/redeliver`, { after: 0, failed: true })).status).toBe(422);
    expect((await api('PATCH', id, {})).status).toBe(422);
    expect((await api('POST', '', { url: receiver.url, after: 999_999_999 })).status).toBe(410);
  });
});
