import { execFile } from 'node:child_process';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Fleet, startFleet } from '../../../support/fleet';
import { createClient, eventually, PASSWORD, uniqueEmail } from '../../../support/http';
import { type KeptAlive, keptAliveOnAll } from '../../../support/kept-alive';
import { root } from '../../../support/service';

const run = promisify(execFile);
const WORKERS = 3;
const LANES = 6;
const ROTATIONS = 3;
/** A lane's pause between refreshes. A session has at most 100 within its grace window of 10 s. */
const PACE_MS = 110;
const SETTINGS = {
  KEY_ROTATION_SECONDS: '6',
  KEY_LEAD_SECONDS: '3',
  KEY_POLL_MS: '300',
  ACCESS_TOKEN_TTL_SECONDS: '30',
};

let fleet: Fleet;
let connections: KeptAlive[];
beforeAll(async () => {
  fleet = await startFleet(WORKERS, SETTINGS);
  connections = await keptAliveOnAll(fleet.url, LANES * WORKERS, WORKERS);
});
afterAll(async () => {
  for (const connection of connections ?? []) connection.close();
  await fleet?.close();
});

const kidOf = (token: string) =>
  (
    JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString()) as {
      kid: string;
    }
  ).kid;
const keysCommand = (...args: string[]) =>
  run(process.execPath, [path.join(root, 'dist/cli/keys.js'), ...args], {
    env: { PATH: process.env['PATH'], ...fleet.environment },
  });

test(`keys rotate under load on ${WORKERS} workers, by age and by command, and neither we nor a resource server refuse a token`, async () => {
  const jose = await import('jose');
  // As a resource server would hold them, within what Cache-Control allows.
  const keys = jose.createRemoteJWKSet(new URL(`${fleet.url}/.well-known/jwks.json`), {
    cacheMaxAge: 1000,
    cooldownDuration: 200,
  });
  const seen = new Set<string>();
  const faults: string[] = [];
  let verifications = 0;
  let stop = false;

  /** On two workers, and at a resource server. */
  async function verify(token: string, at: readonly KeptAlive[]): Promise<void> {
    const answers = await Promise.all(
      at.map((connection) => connection.send('GET', '/api/auth/profile', { token })),
    );
    faults.push(
      ...answers
        .filter(({ status }) => status !== 200)
        .map(({ status }) => `profile ${status} for ${kidOf(token)}`),
    );
    await jose
      .jwtVerify(token, keys, { issuer: 'http://localhost:0', audience: 'api', typ: 'at+jwt' })
      .catch((error: unknown) => faults.push(String(error)));
    verifications += answers.length + 1;
  }

  async function lane(index: number): Promise<void> {
    const pick = (step: number) => connections[(index + step) % connections.length] as KeptAlive;
    const email = uniqueEmail('rotation');
    const registered = await pick(0).send('POST', '/api/auth/register', {
      body: { name: 'Ada', email, password: PASSWORD },
    });
    let pair = JSON.parse(registered.text) as { access_token: string; refresh_token: string };
    const issued: { token: string; untilMs: number }[] = [];
    for (let step = 1; !stop; step += 1) {
      const refreshed = await pick(step).send('POST', '/api/auth/refresh', {
        body: { refresh_token: pair.refresh_token },
      });
      if (refreshed.status !== 200)
        throw new Error(`refresh answered ${refreshed.status}: ${refreshed.text}`);
      pair = JSON.parse(refreshed.text) as typeof pair;
      seen.add(kidOf(pair.access_token));
      issued.push({ token: pair.access_token, untilMs: Date.now() + 15_000 });
      while (issued.length > 200 || (issued[0]?.untilMs ?? Number.POSITIVE_INFINITY) < Date.now())
        issued.shift();
      const at = [pick(step + 1), pick(step + 2)];
      // The newest, and the oldest that must still be good.
      await verify(pair.access_token, at);
      await verify(issued[0]?.token ?? pair.access_token, at);
      await pause(PACE_MS);
    }
  }

  const load = Promise.all(Array.from({ length: LANES }, (_, index) => lane(index)));
  load.catch(() => undefined);
  try {
    await Promise.race([load, eventually('two keys', () => seen.size >= 2, 30_000)]);
    const { stdout } = await keysCommand('rotate');
    expect(stdout).toMatch(/signs from .*Z \(.+\)\.\n(.*\n)*.*(next|active)/);
    await Promise.race([
      load,
      eventually('the other rotations', () => seen.size >= ROTATIONS + 1, 60_000),
    ]);
  } finally {
    stop = true;
  }
  await load;
  if (process.env['SHOW_FIGURES'] !== undefined)
    process.stderr.write(
      `${seen.size} keys, ${verifications} verifications, ${faults.length} failed\n`,
    );
  expect(faults).toEqual([]);
  expect(seen.size).toBeGreaterThanOrEqual(ROTATIONS + 1);
  expect(verifications).toBeGreaterThan(500);
}, 120_000);

test('the command lists every key with its state, and removed keys are not listed', async () => {
  const { stdout } = await keysCommand('list');
  const states = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/)[1]);
  expect(states.filter((state) => state === 'active')).toHaveLength(1);
  expect(states).not.toContain('gone');
});

test('rotate --now returns when every worker signs with the new key, and no token is refused meanwhile', async () => {
  const email = uniqueEmail('now');
  const registered = await createClient(fleet.url)('POST', '/api/auth/register', {
    body: { name: 'Ada', email, password: PASSWORD },
  });
  let { refresh_token } = registered.json as { refresh_token: string };
  const refreshAt = async (connection: KeptAlive) => {
    const pair = JSON.parse(
      (await connection.send('POST', '/api/auth/refresh', { body: { refresh_token } })).text,
    );
    refresh_token = pair.refresh_token;
    return String(pair.access_token);
  };
  const refused: number[] = [];
  let isDone = false;
  const load = (async () => {
    while (!isDone) {
      for (const signing of connections) {
        const token = await refreshAt(signing);
        const answers = await Promise.all(
          connections.map((connection) => connection.send('GET', '/api/auth/profile', { token })),
        );
        refused.push(...answers.map(({ status }) => status).filter((status) => status !== 200));
        // A session may be rotated 100 times within one grace window, and the command takes seconds.
        await pause(4 * PACE_MS);
      }
    }
  })();
  const { stdout } = await keysCommand('rotate', '--now').finally(() => {
    isDone = true;
  });
  await load;
  expect(refused).toEqual([]);
  const { keys } = (await createClient(fleet.url)('GET', '/.well-known/jwks.json')).json as {
    keys: { kid: string }[];
  };
  const listed = [...stdout.matchAll(/^(\d+) +(\w+) +\S+ +\S+ +(\S+)$/gm)].map(
    ([, generation, state, kid]) => ({ generation: Number(generation), state, kid }),
  );
  const active = listed.find(({ state }) => state === 'active');
  expect(keys.map(({ kid }) => kid)).toContain(active?.kid);
  const older = listed.filter(({ generation }) => generation < (active?.generation ?? 0));
  expect(older.length).toBeGreaterThan(0);
  // On a slow machine the schedule may have replaced the new key already, but no older one signs.
  for (const connection of connections)
    expect(older.map(({ kid }) => kid)).not.toContain(kidOf(await refreshAt(connection)));
});

test('after rotate --compromised no worker accepts an old token, and every worker accepts new ones', async () => {
  const client = createClient(fleet.url);
  const signIn = async () =>
    (
      await client('POST', '/api/auth/login', {
        body: { email: fleet.admin.email, password: fleet.admin.password },
      })
    ).json.access_token as string;
  const old = await signIn();
  const { stdout } = await keysCommand('rotate', '--compromised');
  expect(stdout).toMatch(/No process of the service accepts another key/);
  const statuses = (token: string) =>
    Promise.all(
      connections.map(
        async (connection) => (await connection.send('GET', '/api/auth/profile', { token })).status,
      ),
    );
  expect(new Set(await statuses(old))).toEqual(new Set([401]));
  const token = await signIn();
  expect(new Set(await statuses(token))).toEqual(new Set([200]));
  const path = '/api/audit-events?type=signing_key_rotated';
  const { data } = (await createClient(fleet.url)('GET', path, { token })).json;
  const reasons = data.map(({ reason }: { reason: string }) => reason);
  // By commands of these tests, and by age.
  expect(reasons).toEqual(expect.arrayContaining(['compromised', 'now', 'schedule']));
});

test('wrong usage of the command is reported with exit code 64', async () => {
  await expect(keysCommand('nonsense')).rejects.toMatchObject({
    code: 64,
    stderr: expect.stringContaining('Usage'),
  });
  const secret = {
    PATH: process.env['PATH'],
    ...fleet.environment,
    JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ',
  };
  await expect(
    run(process.execPath, [path.join(root, 'dist/cli/keys.js'), 'rotate'], { env: secret }),
  ).rejects.toMatchObject({
    code: 64,
    stderr: expect.stringContaining('JWT_SECRET is set'),
  });
});
