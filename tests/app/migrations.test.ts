import type { mongo as driver } from 'mongoose';
import { migrateAtStart, migrations } from '../../src/app/migrate';
import { ConfigError, parseConfig } from '../../src/kernel/config/config';
import { userMigrations } from '../../src/modules/users/migrations';
import { searchFields, searchKeysOf } from '../../src/modules/users/search/search-keys';
import { createEventLog } from '../../src/platform/event-log/event-log';
import { runMigrations } from '../../src/platform/mongo/migrations/run';
import { pendingEvent } from '../../src/platform/outbox/pending-event';
import { createLogger } from '../../src/platform/telemetry/logger';
import { startTestService, type TestService } from '../support/app';
import { type Client, createClient, eventually, login, register } from '../support/http';
import { startTestMongo, type TestMongo } from '../support/mongo';
import { oldUser } from '../support/old-users';
import { run } from '../support/processes';
import { root } from '../support/service';

const log = createLogger({ level: 'silent' });

/** Documents of the old form, and where a client sees them. */
interface Example {
  readonly documents: readonly driver.Document[];
  seenAt(document: driver.Document): readonly string[];
}

const userPaths = ({ _id, email }: driver.Document) => [
  `/api/users/${_id}`,
  `/api/users?email=${encodeURIComponent(email)}&count=true`,
];
const users = (...documents: driver.Document[]): Example => ({ documents, seenAt: userPaths });

/** A new migration needs an example here. */
const EXAMPLES: Readonly<Record<string, Example>> = {
  '0001-users-email-verified': users(
    oldUser(1, { verifiedEmailKey: 'old1@example.org' }),
    oldUser(2, { verifiedEmailKey: 'before@example.org' }),
    oldUser(3),
    oldUser(4, { name: 'Émile', keptSession: { sid: 's', ver: 1 } }),
  ),
  '0002-users-without-verified-key': users(
    oldUser(5, { verifiedEmailKey: 'old5@example.org', emailVerified: true }),
    oldUser(6, { verifiedEmailKey: 'before@example.org', emailVerified: false }),
  ),
  '0003-users-search-keys': users(
    oldUser(7, { emailVerified: true }),
    oldUser(8, { emailVerified: false, name: 'Ann-Marie Ødegård' }),
  ),
  '0004-users-search-text': users(
    oldUser(9, { emailVerified: true, searchKeys: searchKeysOf('Old 9', 'old9@example.org') }),
    // A version that knows no keys has written the name, and the address.
    oldUser(10, { emailVerified: true, ...searchFields('Before', 'old10@example.org') }),
    oldUser(11, { emailVerified: true, ...searchFields('Old 11', 'before@example.org') }),
  ),
  '0005-users-search-all-words': users(
    // The version before has made the keys, and written a name after the keys of all its words.
    ...[12, 13].map((n) => {
      const [name, email] = ['Ana da Silva e Souza de Oliveira Prado', `old${n}@example.org`];
      const { searchAll: _, ...before } = searchFields(name, email);
      const stale = n === 12 ? {} : { searchAll: `Before\n${email}` };
      return oldUser(n, { emailVerified: true, name, ...before, ...stale });
    }),
  ),
};

let mongo: TestMongo;
let service: TestService;
let client: Client;
let token: string;
beforeAll(async () => {
  mongo = await startTestMongo();
  // Without local entries, every request reads the database.
  service = await startTestService({ NEAR_CACHE_TTL_MS: '0' }, mongo);
  client = createClient(service.baseUrl);
  token = await login(client, service.admin.email, service.admin.password);
});
afterAll(async () => {
  await service?.close();
  await mongo?.close();
});
const collection = (name: string) => service.database.connection.collection<driver.Document>(name);
const upTo = (id: string) => migrations.filter((one) => one.id <= id);
const forget = () => collection('migrations').deleteMany({});

test('every migration has an example', () => {
  expect(migrations.map(({ id }) => id).filter((id) => EXAMPLES[id] === undefined)).toEqual([]);
});

test.each(migrations.map((one) => [one.id, one] as const))(
  '%s: answers and entity tags of an old document are the same before and after',
  async (id, migration) => {
    const { documents, seenAt } = EXAMPLES[id] as Example;
    const target = collection(migration.collection);
    await target.insertMany(documents as never);
    const ofExamples = { _id: { $in: documents.map(({ _id }) => _id) } };
    expect(await target.countDocuments({ $and: [ofExamples, migration.outdated] } as never)).toBe(
      documents.length,
    );
    const see = async () => {
      const answers = documents.flatMap(seenAt).map(async (path) => {
        const { status, headers, text } = await client('GET', path, { token });
        return { path, status, etag: headers.get('etag'), text };
      });
      return Promise.all(answers);
    };
    const before = await see();
    expect(before.filter(({ status }) => status !== 200)).toEqual([]);
    await forget();
    expect(await runMigrations(service.database.connection, upTo(id), { log })).toBe(true);
    expect(await target.countDocuments(migration.outdated as never)).toBe(0);
    expect(await see()).toEqual(before);
  },
);

test('an account of the old form can be read, changed, and its address kept as verified', async () => {
  const one = oldUser(20, { verifiedEmailKey: 'old20@example.org' });
  await collection('users').insertOne(one as never);
  const path = `/api/users/${one['_id']}`;
  expect((await client('GET', path, { token })).json).toMatchObject({ email_verified: true });
  const patched = await client('PATCH', path, { token, body: { name: 'Another Name' } });
  expect(patched.json).toMatchObject({ name: 'Another Name', email_verified: true });
  const moved = await client('PATCH', path, { token, body: { email: 'moved20@example.org' } });
  expect(moved.json).toMatchObject({ email_verified: false });
  await forget();
  await runMigrations(service.database.connection, userMigrations, { log });
  expect((await client('GET', path, { token })).json).toMatchObject({ email_verified: false });
});

const migrate = async (...words: string[]) => {
  const child = run([process.execPath, `${root}/dist/cli/migrate.js`, ...words], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], MONGODB_URI: mongo.uri },
  });
  const { code } = await child.exited;
  return { code, output: child.output() };
};

test('npm run migrate: status reports pending migrations and index drift, up and prune repair it', async () => {
  await forget();
  await collection('users').insertOne(oldUser(30) as never);
  await collection('users').dropIndex('by_role_created');
  await collection('users').createIndex({ updatedAt: 1 }, { name: 'of_before' });
  const found = await migrate('status');
  expect(found.code).toBe(1);
  expect(found.output).toMatch(/^pending {2}0001-users-email-verified {2}1 documents remain$/m);
  expect(found.output).toMatch(/^index users.by_role_created is missing$/m);
  expect(found.output).toMatch(/^index users.of_before is undeclared$/m);

  const up = await migrate('up');
  expect(up).toMatchObject({ code: 0 });
  expect(up.output).toMatch(/^done {5}0001-users-email-verified {2}0 documents remain$/m);
  expect(up.output).not.toMatch(/is missing/);

  expect((await migrate('prune')).output).toMatch(/^index users.of_before dropped$/m);

  await collection('users').dropIndex('by_role_created');
  await collection('users').createIndex({ role: 1 }, { name: 'by_role_created' });
  const different = await migrate('status');
  expect(different.code).toBe(1);
  expect(different.output).not.toMatch(/^index users.of_before/m);
  expect(different.output).toMatch(/^index users.by_role_created is different: is .*declared /m);
  await collection('users').dropIndex('by_role_created');
  await migrateAtStart(service.database.connection, parseConfig({ MONGODB_URI: mongo.uri }), log);
  expect((await migrate('down')).code).toBe(64);
});

test('MIGRATE_ON_START=false: a start changes nothing, and refuses when an index is missing', async () => {
  const { connection } = service.database;
  const config = parseConfig({
    ...{ NODE_ENV: 'test', MONGODB_URI: mongo.uri, MIGRATE_ON_START: 'false' },
  });
  await forget();
  await migrateAtStart(connection, config, log);
  expect(await collection('migrations').countDocuments({})).toBe(0);
  await collection('users').dropIndex('by_created');
  await expect(migrateAtStart(connection, config, log)).rejects.toThrow(ConfigError);
  await expect(migrateAtStart(connection, config, log)).rejects.toThrow('users.by_created');
  const usual = parseConfig({ NODE_ENV: 'test', MONGODB_URI: mongo.uri });
  await migrateAtStart(connection, usual, log);
  await expect(migrateAtStart(connection, config, log)).resolves.toBeUndefined();
});

test('npm run migrate -- restored: readers of later events and ends are not shown others for them', async () => {
  const { connection } = service.database;
  const events = createEventLog(connection, { timeoutMs: 2000 });
  const { user } = await register(client);
  await eventually('its event', async () => (await events.ofSubject(user.id, 1)).length === 1);
  const now = new Date();
  const revocations = connection.collection<{ _id: number }>('revocations');
  await revocations.insertMany(
    [1, 2].map((n) => ({
      ...{ _id: n, at: now, type: 'tokens_ended', subject: user.id, version: n },
    })),
  );
  const backup = await events.latest();
  /** Of a reader that went on until the restore. */
  const after = backup + 2;

  const { code, output } = await migrate('restored');
  expect(code).toBe(0);
  expect(output).toMatch(/^events goes on after \d{13}$/m);
  expect(output).toMatch(/^revocations goes on after \d{13}$/m);
  expect(await events.oldest()).toBe(await events.latest());
  const subject = user.id;
  const more = [1, 2, 3].map(() => ({ ...pendingEvent('user.updated', now), subject }));
  await events.append(more);
  const gone = await client('GET', `/api/events?after=${after}`, { token });
  expect([gone.status, gone.json.code]).toEqual([410, 'events_expired']);
  const anew = await client('GET', '/api/events', { token });
  const ids = (anew.json.data as { id: string }[]).map(({ id }) => id);
  expect(ids.slice(1, 4)).toEqual(more.map(({ id }) => id));

  // What ended before the backup is kept, and what ends after it has later numbers.
  const numbers = (await revocations.find().sort({ _id: 1 }).toArray()).map(({ _id }) => _id);
  expect(numbers.slice(0, 2)).toEqual([1, 2]);
  expect(numbers.at(-1)).toBeGreaterThan(now.getTime());

  // Again, as after a command that was stopped: later numbers once more.
  const latest = await events.latest();
  expect((await migrate('restored')).code).toBe(0);
  expect(await events.latest()).toBeGreaterThan(latest);
});
