import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mongoose';
import { type MongoProxy, startMongoProxy } from '../../../faults/mongo-proxy';
import { parseConfig } from '../../../src/kernel/config/config';
import { problems } from '../../../src/kernel/errors';
import { ALL_PERMISSIONS } from '../../../src/kernel/permissions';
import type { UserService } from '../../../src/modules/users/service';
import { toProblem } from '../../../src/platform/http/to-problem';
import { connectDatabase, type Database } from '../../../src/platform/mongo/connection';
import { startTestService, type TestService } from '../../support/app';
import { quiet } from '../../support/cache-fixture';
import { createClient, login, register, uniqueEmail } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { startUserHost, type UserHost } from '../../support/user-host';

let mongo: TestMongo;
let proxy: MongoProxy;
let direct: Database;

beforeAll(async () => {
  mongo = await startTestMongo();
  proxy = await startMongoProxy(mongo.uri);
  direct = await connectDatabase(mongo.uri, parseConfig({ NODE_ENV: 'test' }).database, quiet);
});
afterAll(async () => {
  await direct?.close();
  await proxy?.close();
  await mongo?.close();
});

const documents = () => (direct.connection as Connection).collection('users');

describe('with a link that takes 900 ms for each round trip', () => {
  let near: TestService;
  let far: TestService;

  beforeAll(async () => {
    near = await startTestService({}, mongo);
    far = await startTestService({}, proxy);
  });
  afterAll(async () => {
    proxy.pass();
    await far?.close();
    await near?.close();
  });

  test('a write that is answered 503 undoes nothing that is acknowledged afterwards', async () => {
    const [here, there] = [createClient(near.baseUrl), createClient(far.baseUrl)];
    const admin = await login(here, near.admin.email, near.admin.password);
    const given = [
      ['PATCH', { name: 'GIVEN-UP' }],
      ['PUT', { name: 'GIVEN-UP', role: 'user' }],
      ['PATCH', { role: 'admin' }],
      ['DELETE', undefined],
    ] as const;
    const accounts = await Promise.all(given.map(() => register(here)));
    proxy.delay(450);
    const late = given.map(([method, body], i) => {
      const { user } = accounts[i] ?? { user: { id: '', email: '' } };
      const whole = method === 'PUT' ? { ...body, email: user.email } : body;
      return there(method, `/api/users/${user.id}`, {
        token: admin,
        ...(whole === undefined ? {} : { body: whole }),
      });
    });
    let answered = false;
    const answers = Promise.all(late).finally(() => {
      answered = true;
    });
    const rename = (name: string) =>
      Promise.all(
        accounts.map(
          async ({ user }) =>
            (await here('PATCH', `/api/users/${user.id}`, { token: admin, body: { name } })).status,
        ),
      );
    for (let round = 0; !answered; round += 1) {
      expect(await rename(`MEANWHILE ${round}`)).toEqual([200, 200, 200, 200]);
      await sleep(50);
    }
    expect(
      (await answers).map(({ status, json }) => [
        status,
        ['contended', 'database_unavailable', 'write_unconfirmed'].includes(json?.code),
      ]),
    ).toEqual(Array(4).fill([503, true]));
    expect(await rename('NEWER')).toEqual([200, 200, 200, 200]);
    const until = performance.now() + 3000;
    while (performance.now() < until) {
      for (const { user } of accounts) {
        const { status, json } = await here('GET', `/api/users/${user.id}`, { token: admin });
        expect([status, json.name, json.role]).toEqual([200, 'NEWER', 'user']);
      }
      await sleep(50);
    }
  });
});

describe('a command that is held up on the wire until its caller was told 503', () => {
  let host: UserHost;
  let emitted: string[] = [];
  beforeAll(async () => {
    const emit = (name: string) => void emitted.push(name);
    host = await startUserHost(proxy.uri, { timeoutMs: 400, emit });
  });
  afterEach(() => {
    proxy.pass();
    emitted = [];
  });
  afterAll(async () => {
    await host?.close();
  });

  /** If-Match: "….1". */
  const revisionOne = (rev: number) => {
    if (rev !== 1) throw problems.preconditionFailed();
  };

  const admin = { userId: '0'.repeat(24), permissions: ALL_PERMISSIONS };
  const sid = 'a'.repeat(24);
  const until = new Date(Date.now() + 900_000);
  type Work = (users: UserService, id: string, email: string) => Promise<unknown>;
  const writes: [string, string, Work][] = [
    [
      'a changed name',
      'findAndModify',
      (users, id) => users.change(admin, id, { name: 'GIVEN-UP' }, undefined),
    ],
    [
      'a change under If-Match',
      'findAndModify',
      (users, id) => users.change(admin, id, { name: 'GIVEN-UP' }, { check: revisionOne }),
    ],
    [
      'a role',
      'findAndModify',
      (users, id) => users.change(admin, id, { role: 'admin' }, undefined),
    ],
    ['a removal', 'delete', (users, id) => users.remove(admin, id, undefined)],
    [
      'a password',
      'findAndModify',
      (users, id, email) => users.resetPassword(id, 'GIVEN-UP', { email, passwordHash: 'hash' }),
    ],
    [
      'a change of the password',
      'findAndModify',
      (users, id) => users.changePassword(id, 'hash', 'GIVEN-UP', { sid, ver: 1 }),
    ],
    [
      'a ban',
      'findAndModify',
      (users, id) => users.ban({ userId: '0'.repeat(24), permissions: ALL_PERMISSIONS }, id, {}),
    ],
    [
      'an address',
      'findAndModify',
      (users, id, email) =>
        users.confirmEmail(id, uniqueEmail('given-up'), { email, passwordHash: 'hash' }),
    ],
    [
      'a confirmed address',
      'findAndModify',
      (users, id, email) => users.confirmEmail(id, email, { email, passwordHash: 'hash' }),
    ],
    ['the end of all sessions', 'update', (users, id) => users.endSessions(id, {})],
    [
      'the end of all sessions but one',
      'update',
      (users, id) => users.endSessions(id, { keep: { sid, ver: 1 } }),
    ],
    [
      'the end of one session',
      'findAndModify',
      (users, id) => users.revokeSessions(id, [sid], until),
    ],
  ];

  async function account() {
    const email = uniqueEmail('held');
    const id = host.repository.newId();
    await host.repository.insert(
      { id, email, name: 'Ada', passwordHash: 'hash', role: 'user' },
      new Date(),
    );
    return { id, email };
  }
  const stored = (id: string) =>
    documents().findOne({
      emailKey: { $exists: true },
      _id: new direct.connection.base.Types.ObjectId(id),
    });

  test.each(writes)(
    '%s: may have been made where the answer is lost, and the event says so',
    async (_what, command, work) => {
      const { id, email } = await account();
      const before = await stored(id);
      // As the first member of its message: the name of a field may begin with it.
      proxy.loseAnswerOf(`\u0002${command}\u0000`);
      const error: unknown = await work(host.users, id, email).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(await stored(id)).not.toEqual(before);
      expect(toProblem(error)).toMatchObject({ status: 503, code: 'write_unconfirmed' });
      expect(emitted).toEqual(['ChangeUnconfirmed']);
    },
  );

  test.each(writes)('%s: does not take effect when it arrives', async (_what, command, work) => {
    const { id, email } = await account();
    const before = await stored(id);
    proxy.holdFrom(command);
    const error: unknown = await work(host.users, id, email).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(toProblem(error)).toMatchObject({ status: 503 });
    expect(proxy.isHolding()).toBe(true);
    proxy.release();
    await sleep(300);
    expect(await stored(id)).toEqual(before);
    // The same write, not held up.
    await work(host.users, id, email);
    expect(await stored(id)).not.toEqual(before);
  });
});
