import { setTimeout as sleep } from 'node:timers/promises';
import bcrypt from 'bcrypt';
import { PERMISSIONS, type Role } from '../../../../src/kernel/permissions';
import { NO_PASSWORD } from '../../../../src/modules/auth';
import { createUserModel } from '../../../../src/modules/users/model';
import { createUserRepository } from '../../../../src/modules/users/repository';
import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, login, PASSWORD, uniqueEmail } from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

const ROUNDS = 50;
const passwordHash = bcrypt.hashSync(PASSWORD, 4);

/** Two hosts on one database. `root` has every permission and is not the role `admin`. */
let mongo: TestMongo;
let services: readonly TestService[];
let here: Client;
let there: Client;

beforeAll(async () => {
  mongo = await startTestMongo();
  const settings = { NEAR_CACHE_TTL_MS: '0', ROLES: `root=${PERMISSIONS.join('+')}` };
  services = [await startTestService(settings, mongo), await startTestService(settings, mongo)];
  const clients = services.map(({ baseUrl }) => createClient(baseUrl, { unchecked: true }));
  [here, there] = clients as [Client, Client];
  await users().deleteMany({});
});
afterAll(async () => {
  for (const service of services ?? []) await service.close();
  await mongo?.close();
});

const connection = () => {
  const found = services[0]?.database.connection;
  if (found === undefined) throw new Error('no service');
  return found;
};
const users = () => connection().collection('users');

interface Account {
  readonly id: string;
  readonly token: string;
  /** Its host. */
  readonly client: Client;
}

async function account(role: Role, client: Client): Promise<Account> {
  const repository = createUserRepository(createUserModel(connection()), { timeoutMs: 2000 });
  const [id, email] = [repository.newId(), uniqueEmail(role)];
  await repository.insert({ id, email, name: 'Ada', passwordHash, role }, new Date());
  return { id, token: await login(client, email, PASSWORD), client };
}

type Move = (by: Account, others: readonly Account[]) => ReturnType<Client>;
const later = () => new Date(Date.now() + 3_600_000).toISOString();
const idsOf = (all: readonly Account[]) => all.map(({ id }) => id);

/** Every way in which an administrator can stop being an active one. */
const STEPS_DOWN: readonly Move[] = [
  ({ client, token }) => client('DELETE', '/api/users/me', { token }),
  ({ client, token }) => client('PATCH', '/api/users/me', { token, body: { role: 'root' } }),
  ({ client, token }) => client('PATCH', '/api/users/me', { token, body: { role: 'user' } }),
];
const ENDS: readonly Move[] = [
  ({ client, token }, [other]) =>
    client('POST', `/api/users/${other?.id}/ban`, { token, body: { until: later() } }),
  ({ client, token }, [other]) => client('DELETE', `/api/users/${other?.id}`, { token }),
  ({ client, token }, [other]) =>
    client('PATCH', `/api/users/${other?.id}`, { token, body: { role: 'root' } }),
  ({ client, token }, all) =>
    client('POST', '/api/users/ban', { token, body: { ids: idsOf(all), until: later() } }),
  ({ client, token }, all) =>
    client('POST', '/api/users/delete', { token, body: { ids: idsOf(all) } }),
];
const any = <T>(all: readonly T[]): T => all[Math.floor(Math.random() * all.length)] as T;

test('whatever two hosts do to the administrators at once, an active one remains', async () => {
  const seen = { refused: 0, done: 0 };
  for (let round = 0; round < ROUNDS; round += 1) {
    const [first, second, root] = await Promise.all([
      account('admin', here),
      account('admin', there),
      account('root', any([here, there])),
    ]);
    const moves = [
      () => any([...STEPS_DOWN, ...ENDS])(first, [second]),
      () => any([...STEPS_DOWN, ...ENDS])(second, [first]),
      // By permissions alone, both in one call.
      () => any(ENDS.slice(3))(root, [first, second]),
    ];
    const answers = await Promise.all(
      moves.map(async (move) => {
        await sleep(Math.random() * 5);
        return move();
      }),
    );
    const outcomes = answers.flatMap(({ status, json }) =>
      json?.data === undefined ? [json?.code ?? status] : json.data.map(codeOf),
    );
    seen.refused += outcomes.filter((one) => one === 'last_admin').length;
    seen.done += outcomes.filter((one) => typeof one === 'number' && one < 300).length;
    const active = await users().countDocuments({ role: 'admin', status: 'active' });
    expect({ round, outcomes, active: active > 0 }).toEqual({ round, outcomes, active: true });
    await users().deleteMany({});
  }
  // The races were races: some were refused for the rule, and some were done.
  expect(seen.refused).toBeGreaterThan(ROUNDS / 5);
  expect(seen.done).toBeGreaterThan(ROUNDS / 2);
}, 180_000);

const codeOf = ({ status, code }: { status: number; code?: string }) => code ?? status;

test('an account with every permission is no administrator for the rule', async () => {
  const admin = await account('admin', here);
  const root = await account('root', there);
  for (const move of ENDS) {
    const { json } = await move(root, [admin]);
    expect(json.data?.map(codeOf) ?? [json.code]).toEqual(['last_admin']);
  }
  for (const move of STEPS_DOWN) expect((await move(admin, [])).json.code).toBe('last_admin');
  const until = { role: 'admin', status: 'active' };
  expect(await users().countDocuments(until)).toBe(1);
});

test('an invited administrator counts once it can sign in', async () => {
  await users().deleteMany({});
  const admin = await account('admin', here);
  const repository = createUserRepository(createUserModel(connection()), { timeoutMs: 2000 });
  const invited = { name: 'Invited', passwordHash: NO_PASSWORD, role: 'admin' } as const;
  const inviteAnother = async () => {
    const id = repository.newId();
    await repository.insert({ ...invited, id, email: uniqueEmail('invited') }, new Date());
    return id;
  };
  const id = await inviteAnother();
  for (const move of STEPS_DOWN) expect((await move(admin, [])).json.code).toBe('last_admin');
  const body = { until: later() };
  // It is no administrator of any use, so it can go while one remains.
  expect((await here('POST', `/api/users/${id}/ban`, { token: admin.token, body })).status).toBe(
    200,
  );
  // One who signs in by a provider, a passkey or a mailed code has no password and counts.
  const attempt = { timeoutMs: 2000, until: new Date(Date.now() + 60_000) };
  expect(await repository.noteLogin(await inviteAnother(), attempt, 0)).toBe(true);
  expect((await STEPS_DOWN[1]?.(admin, []))?.status).toBe(200);
});

test('a banned administrator does not count, and counts again when its ban is over', async () => {
  await users().deleteMany({});
  const [admin, other] = [await account('admin', here), await account('admin', there)];
  const body = { until: new Date(Date.now() + 1000).toISOString() };
  const path = `/api/users/${other.id}/ban`;
  expect((await here('POST', path, { token: admin.token, body })).status).toBe(200);
  const stepDown = () => STEPS_DOWN[1]?.(admin, []);
  expect((await stepDown())?.json.code).toBe('last_admin');
  await sleep(1300);
  expect((await stepDown())?.status).toBe(200);
});
