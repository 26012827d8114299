import { createClient as connectRedis } from 'redis';
import { createRemovals } from '../../../src/modules/privacy/removals';
import { startTestService, type TestService } from '../../support/app';
import { BUSY_SETTINGS, type BusyUser, collectionsWith, liveBusily } from '../../support/busy-life';
import { type Client, createClient, eventually, login, register } from '../../support/http';
import { describeWithRedis, startTestRedis, type TestRedis } from '../../support/redis';

const PSEUDONYM = /^removed:[A-Za-z0-9_-]{22}$/;

/** Collections that hold the id for a while, and why. */
const KEPT_FOR_A_WHILE: Readonly<Record<string, string>> = {
  user_removals: 'The purge itself: it makes the purge durable, and is removed by the final pass.',
  revocation_removals: 'Until the log of ended tokens has the end of this account.',
};

/**
 * The logs that other services follow, and the members of their documents. They tell the id of a
 * removed user for as long as they keep what happened, and nothing else about it.
 */
const LOGS: Readonly<Record<string, RegExp>> = {
  events: /^_id,at,(fields,)?id,(revision|sessions),(sessions,)?subject,type$/,
  revocations: /^_id,at,(kept,)?(sessions,)?subject,(tokens,)?type(,version)?$/,
};

/** Collections that hold one of the texts, without the logs. */
async function holding(service: TestService, texts: readonly string[]): Promise<string[]> {
  const { connection } = service.database;
  for (const [name, members] of Object.entries(LOGS))
    for await (const entry of connection.collection(name).find({ subject: texts[0] }))
      expect(Object.keys(entry).sort().join()).toMatch(members);
  const found = await collectionsWith(service, texts);
  return Object.keys(found).filter((name) => LOGS[name] === undefined);
}

interface RemovalRow {
  readonly _id: string;
  readonly isSettling: boolean;
  readonly pseudonym: string;
}

const removalOf = (service: TestService, id: string) =>
  service.database.connection.collection<RemovalRow>('user_removals').findOne({ _id: id });
const purgedOnce = (service: TestService, id: string) =>
  eventually('the first pass', async () => (await removalOf(service, id))?.isSettling === true);

/** As if the time until then were over. */
async function makeDue(service: TestService, id: string): Promise<void> {
  await service.database.connection
    .collection<{ _id: string }>('user_removals')
    .updateOne({ _id: id }, { $set: { dueAt: new Date(0) } });
}
const finished = async (service: TestService, id: string) => {
  await eventually('the final pass', async () => (await removalOf(service, id)) === null, 15_000);
  const ends = service.database.connection.collection<{ _id: string }>('revocation_removals');
  await eventually('the move of its end', async () => (await ends.findOne({ _id: id })) === null);
};

describe('a removed user', () => {
  let service: TestService;
  let client: Client;
  let admin: string;
  let user: BusyUser;
  beforeAll(async () => {
    service = await startTestService(BUSY_SETTINGS);
    client = createClient(service.baseUrl);
    user = await liveBusily(service);
    admin = await login(client, service.admin.email, service.admin.password);
  });
  afterAll(() => service?.close());

  test('leaves neither its id nor its address in any collection', async () => {
    const names = [user.id, user.email];
    // It was everywhere before: else the test would show nothing.
    expect((await holding(service, names)).sort()).toEqual([
      'audit_events',
      'jobs',
      'known_devices',
      'mail_queue',
      'one_time_tokens',
      'passkeys',
      'recovery_codes',
      'service_accounts',
      'sessions',
      'users',
      'webhooks',
    ]);
    const headers = { 'x-forwarded-for': user.address, 'user-agent': user.userAgent };
    const answer = await client('DELETE', '/api/users/me', { token: user.token, headers });
    expect(answer.status).toBe(204);
    await purgedOnce(service, user.id);
    const left = await holding(service, names);
    expect(left.filter((name) => KEPT_FOR_A_WHILE[name] === undefined)).toEqual([]);
    await makeDue(service, user.id);
    await finished(service, user.id);
    expect(await holding(service, names)).toEqual([]);
  });

  test('leaves audit events that belong together and lead to nobody', async () => {
    const events = service.database.connection.collection('audit_events');
    const [removed] = await events.find({ type: 'account_removed' }).toArray();
    const pseudonym = removed?.['subject'] as string;
    expect(pseudonym).toMatch(PSEUDONYM);
    expect(removed).toMatchObject({ actor: pseudonym, network: '', userAgent: '', requestId: '' });
    const types = (await events.find({ subject: pseudonym }).toArray()).map(({ type }) => type);
    expect(types).toEqual(
      expect.arrayContaining(['registered', 'login', 'new_device', 'email_change_requested']),
    );
    expect(await collectionsWith(service, [user.address, user.userAgent, 'Other-Browser'])).toEqual(
      {},
    );
    // An act on another account: of the same person, and still about that account.
    expect(await events.findOne({ type: 'role_set', subject: user.other })).toMatchObject({
      actor: pseudonym,
      network: '',
    });
    // The administrator's own act keeps its origin.
    const given = await events.findOne({ type: 'role_set', subject: pseudonym });
    expect(given).toMatchObject({ actor: expect.stringMatching(/^[0-9a-f]{24}$/) });
    expect(given?.['network']).not.toBe('');
    const listed = await client('GET', `/api/audit-events?subject=${pseudonym}`, { token: admin });
    expect(listed.json.data.length).toBe(types.length);
  });

  test('leaves its service account to the others, without its name', async () => {
    const { json } = await client('GET', '/api/service-accounts', { token: admin });
    const account = (json.data as { id: string; created_by: string }[]).find(
      ({ id }) => id === user.serviceAccount,
    );
    expect(account?.created_by).toMatch(PSEUDONYM);
  });
});

describe('a purge survives its worker', () => {
  let service: TestService;
  let client: Client;
  beforeAll(async () => {
    service = await startTestService(BUSY_SETTINGS);
    client = createClient(service.baseUrl);
  });
  afterAll(() => service?.close());

  const removals = () => createRemovals(service.database.connection, { timeoutMs: 2000 });
  const removeSilently = (id: string) => {
    const { ObjectId } = service.database.connection.base.mongo;
    return service.database.connection.collection('users').deleteOne({ _id: new ObjectId(id) });
  };

  test('which died right after the commit: another process purges', async () => {
    const { user } = await register(client);
    await removals().announce(user.id, []);
    await removeSilently(user.id);
    expect(Object.keys(await collectionsWith(service, [user.id]))).toContain('sessions');
    await makeDue(service, user.id);
    await purgedOnce(service, user.id);
    expect(await holding(service, [user.id, user.email])).toEqual(['user_removals']);
  });

  test('which died within the purge: its lease runs out, and another goes on', async () => {
    const { user } = await register(client);
    await removals().announce(user.id, []);
    await removeSilently(user.id);
    expect(await removals().claim(user.id)).toMatchObject({ userId: user.id, isSettling: false });
    expect(await removals().claimDue()).toBeNull();
    await makeDue(service, user.id);
    await purgedOnce(service, user.id);
    expect(await holding(service, [user.id])).toEqual(['user_removals']);
  });

  test('a removal that was announced and not committed purges nothing', async () => {
    const { user, access_token: token } = await register(client);
    await removals().announce(user.id, []);
    await makeDue(service, user.id);
    await finished(service, user.id);
    expect((await client('GET', '/api/auth/sessions', { token })).json.data).toHaveLength(1);
    expect(Object.keys(await collectionsWith(service, [user.id]))).toContain('audit_events');
  });

  test('records that a request under way stores after the first pass are purged by the final one', async () => {
    const { user, access_token: token } = await register(client);
    await client('DELETE', '/api/users/me', { token });
    await purgedOnce(service, user.id);
    const { connection } = service.database;
    await connection
      .collection<{ _id: string; userId: string; until: Date }>('known_devices')
      .insertOne({ _id: 'late', userId: user.id, until: new Date(Date.now() + 60_000) });
    await connection.collection('audit_events').insertOne({
      type: 'login',
      result: 'failure',
      subject: user.id,
      at: new Date(),
      network: '192.0.2.1',
      until: new Date(Date.now() + 60_000),
    });
    const pseudonym = (await removalOf(service, user.id))?.pseudonym;
    await makeDue(service, user.id);
    await finished(service, user.id);
    expect(await holding(service, [user.id, '192.0.2.1'])).toEqual([]);
    const events = connection.collection('audit_events');
    expect(await events.countDocuments({ subject: pseudonym })).toBeGreaterThan(2);
  });

  test('many events are purged, batch by batch', async () => {
    const { user, access_token: token } = await register(client);
    const events = service.database.connection.collection('audit_events');
    const row = { type: 'login', result: 'success', subject: user.id, actor: user.id };
    const until = new Date(Date.now() + 60_000);
    await events.insertMany(
      Array.from({ length: 1750 }, (_, i) => ({
        ...row,
        at: new Date(i),
        until,
        network: '10.9.8.7',
      })),
    );
    await client('DELETE', '/api/users/me', { token });
    await purgedOnce(service, user.id);
    expect(await events.countDocuments({ subject: user.id })).toBe(0);
    expect(await events.countDocuments({ network: '10.9.8.7' })).toBe(0);
    const pseudonym = (await removalOf(service, user.id))?.pseudonym;
    expect(await events.countDocuments({ subject: pseudonym })).toBeGreaterThanOrEqual(1750);
  });
});

describeWithRedis('in Redis', () => {
  let redis: TestRedis;
  let service: TestService;
  let ask: ReturnType<typeof connectRedis>;
  beforeAll(async () => {
    redis = await startTestRedis();
    ask = connectRedis({ url: redis.url });
    ask.on('error', () => undefined);
    await ask.connect();
    service = await startTestService({ ...BUSY_SETTINGS, REDIS_URL: redis.url });
  });
  afterAll(async () => {
    ask?.destroy();
    await service?.close();
    await redis?.close();
  });

  async function keysWith(texts: readonly string[]): Promise<string[]> {
    const names: string[] = [];
    for await (const batch of ask.scanIterator({ COUNT: 1000 })) names.push(...batch);
    const found: string[] = [];
    for (const name of names) {
      const value = (await ask.type(name)) === 'string' ? await ask.get(name) : '';
      if (texts.some((text) => `${name} ${value}`.includes(text))) found.push(name);
    }
    return found;
  }

  test('no key outlives its few seconds with the id, and none has the address', async () => {
    const user = await liveBusily(service);
    const client = createClient(service.baseUrl);
    expect(await keysWith([user.id])).not.toEqual([]);
    expect((await client('DELETE', '/api/users/me', { token: user.token })).status).toBe(204);
    await purgedOnce(service, user.id);
    expect(await keysWith([user.email])).toEqual([]);
    for (const name of await keysWith([user.id])) {
      const ttl = await ask.ttl(name);
      expect({ name, isShort: ttl === -2 || (ttl >= 0 && ttl <= 60) }).toEqual({
        name,
        isShort: true,
      });
    }
  });
});
