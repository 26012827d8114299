import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { type Fleet, startFleet } from '../../../support/fleet';
import { createClient, login, PASSWORD, uniqueEmail } from '../../../support/http';
import { type KeptAlive, keptAliveOnAll } from '../../../support/kept-alive';
import { redisAvailable, startTestRedis, type TestRedis } from '../../../support/redis';
import { root } from '../../../support/service';

const run = promisify(execFile);
const WORKERS = 4;
const CONNECTIONS = 32;
const LANES = 8;

interface Pair {
  readonly access_token: string;
  readonly refresh_token: string;
}
interface Account {
  readonly id: string;
  readonly email: string;
  /** The session whose token must no longer be accepted. */
  readonly victim: Pair;
  readonly other: Pair;
}

/** Each ends the victim's session, and answers the status of the request that did. */
interface User {
  readonly id: string;
  readonly email: string;
}

type Action = (connection: KeptAlive, account: Account, admin: string) => Promise<number>;
const status = async (answer: Promise<{ status: number }>) => (await answer).status;
const sidOf = (token: string) =>
  (
    JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as {
      sid: string;
    }
  ).sid;

const ACTIONS: Readonly<Record<string, Action>> = {
  'logout local': (c, { victim }) =>
    status(c.send('POST', '/api/auth/logout', { token: victim.access_token })),
  'logout global': (c, { other }) =>
    status(c.send('POST', '/api/auth/logout?scope=global', { token: other.access_token })),
  'logout others': (c, { other }) =>
    status(c.send('POST', '/api/auth/logout?scope=others', { token: other.access_token })),
  'end of one session': (c, { victim, other }) =>
    status(
      c.send('DELETE', `/api/auth/sessions/${sidOf(victim.access_token)}`, {
        token: other.access_token,
      }),
    ),
  'change of password': (c, { other }) =>
    status(
      c.send('PATCH', '/api/auth/password', {
        token: other.access_token,
        body: { current_password: PASSWORD, new_password: 'another password' },
      }),
    ),
  'change of role': (c, { id }, admin) =>
    status(c.send('PATCH', `/api/users/${id}`, { token: admin, body: { role: 'admin' } })),
  deletion: (c, { id }, admin) => status(c.send('DELETE', `/api/users/${id}`, { token: admin })),
};
const NAMES = Object.keys(ACTIONS);

/**
 * Name, whether with Redis, rounds: the plain rule needs fewer than the protocol. REVOCATION_ROUNDS
 * for a longer run of both.
 */
const longer = Number(process.env['REVOCATION_ROUNDS'] ?? 0);
const variants: [string, boolean, number][] = [
  ['local cache entries only', false, Math.max(80, longer)],
];
if (redisAvailable) variants.push(['Redis', true, Math.max(160, longer)]);

describe.each(variants)('with %s', (_name, withRedis, roundsWanted) => {
  let redis: TestRedis | undefined;
  let fleet: Fleet;
  let lanes: KeptAlive[][];
  let admin: string;

  beforeAll(async () => {
    if (withRedis) redis = await startTestRedis();
    fleet = await startFleet(WORKERS, redis === undefined ? {} : { REDIS_URL: redis.url });
    lanes = [];
    for (let i = 0; i < LANES; i += 1)
      lanes.push(await keptAliveOnAll(fleet.url, CONNECTIONS, WORKERS));
    admin = await login(createClient(fleet.url), fleet.admin.email, fleet.admin.password);
  }, 180_000);
  afterAll(async () => {
    for (const connection of (lanes ?? []).flat()) connection.close();
    await fleet?.close();
    await redis?.close();
  });

  async function account(connection: KeptAlive): Promise<Account> {
    const email = uniqueEmail('revoked');
    const registered = await connection.send('POST', '/api/auth/register', {
      body: { name: 'Ada', email, password: PASSWORD },
    });
    const again = await connection.send('POST', '/api/auth/login', {
      body: { email, password: PASSWORD },
    });
    if (registered.status !== 201 || again.status !== 200)
      throw new Error(`no account: ${registered.text} ${again.text}`);
    const victim = JSON.parse(registered.text) as Pair & { user: { id: string } };
    return { id: victim.user.id, email, victim, other: JSON.parse(again.text) as Pair };
  }

  const onAll = (connections: readonly KeptAlive[], token: string) =>
    Promise.all(
      connections.map((connection) =>
        status(connection.send('GET', '/api/auth/profile', { token })),
      ),
    );

  test('ten concurrent refreshes of one token on several workers get the same pair', async () => {
    const connections = (lanes[0] as KeptAlive[]).slice(0, 10);
    let { refresh_token: token } = (await account(connections[0] as KeptAlive)).victim;
    for (let round = 0; round < 20; round += 1) {
      const body = { refresh_token: token };
      const answers = await Promise.all(
        connections.map((connection) => connection.send('POST', '/api/auth/refresh', { body })),
      );
      expect(answers.map((answer) => answer.status)).toEqual(connections.map(() => 200));
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
      token = (JSON.parse(answers[0]?.text ?? '') as Pair).refresh_token;
    }
  });

  test('a ban is in effect on every worker when the command has ended, until it is lifted', async () => {
    const connections = lanes[0] as KeptAlive[];
    const actor = connections[0] as KeptAlive;
    const command = (word: string, email: string) =>
      run(process.execPath, [path.join(root, 'dist/cli/admin.js'), word, '--email', email], {
        env: { PATH: process.env['PATH'], ...fleet.environment },
      });
    for (let round = 0; round < 2; round += 1) {
      const { email, victim } = await account(actor);
      expect(await onAll(connections, victim.access_token)).toEqual(connections.map(() => 200));
      await command('ban', email);
      expect(await onAll(connections, victim.access_token)).toEqual(connections.map(() => 401));
      const refresh = () =>
        actor.send('POST', '/api/auth/refresh', { body: { refresh_token: victim.refresh_token } });
      const signIn = () =>
        actor.send('POST', '/api/auth/login', { body: { email, password: PASSWORD } });
      expect([(await refresh()).status, (await signIn()).status]).toEqual([401, 401]);
      await command('unban', email);
      expect([(await refresh()).status, (await signIn()).status]).toEqual([401, 200]);
    }
    // The rounds of the other test make administrators.
    const { data } = JSON.parse(
      (await actor.send('GET', '/api/users?role=admin&limit=100', { token: admin })).text,
    ) as { data: User[] };
    for (const { id } of data.filter((one) => one.email !== fleet.admin.email)) {
      expect(
        await status(
          actor.send('PATCH', `/api/users/${id}`, { token: admin, body: { role: 'user' } }),
        ),
      ).toBe(200);
    }
    await expect(command('ban', fleet.admin.email)).rejects.toMatchObject({
      code: 64,
      stderr: expect.stringContaining('last administrator'),
    });
    await expect(command('ban', 'nobody@example.org')).rejects.toMatchObject({ code: 64 });
  }, 120_000);

  test('wrong passwords are counted over all workers together', async () => {
    const connections = lanes[0] as KeptAlive[];
    const { email } = await account(connections[0] as KeptAlive);
    const body = { email, password: 'wrong password' };
    // Another browser than the owner's: no known device.
    const headers = { 'user-agent': 'stranger/1' };
    const answers = await Promise.all(
      connections.map((connection) =>
        connection.send('POST', '/api/auth/login', { body, headers }),
      ),
    );
    const looked = answers.filter((answer) => answer.status === 401).length;
    // Two windows of ten, if one has just ended.
    expect(looked).toBeGreaterThanOrEqual(10);
    expect(looked).toBeLessThanOrEqual(20);
    expect(answers.filter((answer) => answer.status === 429).length).toBe(CONNECTIONS - looked);
  });

  test(`${roundsWanted} rounds over ${CONNECTIONS} connections on ${WORKERS} workers: after the 2xx no worker accepts the token`, async () => {
    const faults: string[] = [];
    let rounds = 0;
    let probes = 0;
    async function round(index: number, connections: readonly KeptAlive[]): Promise<void> {
      const name = NAMES[index % NAMES.length] as string;
      const actor = connections[index % CONNECTIONS] as KeptAlive;
      const one = await account(actor);
      const before = await onAll(connections, one.victim.access_token);
      if (before.some((code) => code !== 200))
        faults.push(`${name}: answered ${before.filter((code) => code !== 200)} before`);
      const answer = await (ACTIONS[name] as Action)(actor, one, admin);
      if (answer < 200 || answer > 299) faults.push(`${name}: answered ${answer}`);
      const after = await onAll(connections, one.victim.access_token);
      probes += after.length;
      const others = after.filter((code) => code !== 401);
      if (others.length > 0) faults.push(`${name}: answered ${others} afterwards`);
      rounds += 1;
    }
    let next = 0;
    await Promise.all(
      lanes.map(async (connections) => {
        while (next < roundsWanted) await round(next++, connections);
      }),
    );
    if (process.env['SHOW_FIGURES'] !== undefined)
      process.stderr.write(
        `${rounds} rounds, ${probes} requests afterwards, ${faults.length} faults\n`,
      );
    expect(faults).toEqual([]);
    expect(rounds).toBe(roundsWanted);
    expect(lanes.flat().map((connection) => connection.opened())).toEqual(
      Array.from({ length: LANES * CONNECTIONS }, () => 1),
    );
  }, 400_000);
});

if (!redisAvailable) test.skip('with Redis: there is no redis-server here', () => {});
