import { execFile } from 'node:child_process';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Fleet, startFleet } from '../support/fleet';
import { createClient, eventually, PASSWORD, uniqueEmail } from '../support/http';
import { type KeptAlive, keptAliveOnAll } from '../support/kept-alive';
import { root } from '../support/service';

const run = promisify(execFile);
const WORKERS = 3;
const LANES = 6;
const ROTATIONS = 3;
/** A lane's pause between refreshes: the rotations take their time, and a processor kept busy meanwhile shows nothing more. */
const PACE_MS = 25;
const SETTINGS = { KEY_ROTATION_SECONDS: '6', KEY_LEAD_SECONDS: '3', KEY_POLL_MS: '300', ACCESS_TOKEN_TTL_SECONDS: '30' };

let fleet: Fleet;
let connections: KeptAlive[];
beforeAll(async () => {
  fleet = await startFleet(WORKERS, SETTINGS);
  connections = await keptAliveOnAll(fleet.url, LANES * WORKERS, WORKERS);
}, 60_000);
afterAll(async () => {
  for (const connection of connections ?? []) connection.close();
  await fleet?.close();
}, 60_000);

const kidOf = (token: string) => (JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString()) as { kid: string }).kid;
const keysCommand = (...args: string[]) =>
  run(process.execPath, [path.join(root, 'dist/src/cli/keys.js'), ...args], { env: { PATH: process.env['PATH'], ...fleet.environment } });

test(`keys rotate under load on ${WORKERS} workers, by age and by command, and no verification fails, ours or a resource server's`, async () => {
  const jose = await import('jose');
  // As a resource server would hold them, within what Cache-Control allows.
  const keys = jose.createRemoteJWKSet(new URL(`${fleet.url}/.well-known/jwks.json`), { cacheMaxAge: 1000, cooldownDuration: 200 });
  const seen = new Set<string>();
  const faults: string[] = [];
  let verifications = 0;
  let stop = false;

  /** On two workers, and at a resource server. */
  async function verify(token: string, at: readonly KeptAlive[]): Promise<void> {
    const answers = await Promise.all(at.map((connection) => connection.send('GET', '/api/auth/profile', { token })));
    faults.push(...answers.filter(({ status }) => status !== 200).map(({ status }) => `profile ${status} for ${kidOf(token)}`));
    await jose
      .jwtVerify(token, keys, { issuer: 'http://localhost:0', audience: 'api', typ: 'at+jwt' })
      .catch((error: unknown) => faults.push(String(error)));
    verifications += answers.length + 1;
  }

  async function lane(index: number): Promise<void> {
    const pick = (step: number) => connections[(index + step) % connections.length] as KeptAlive;
    const email = uniqueEmail('rotation');
    const registered = await pick(0).send('POST', '/api/auth/register', { body: { name: 'Ada', email, password: PASSWORD } });
    let pair = JSON.parse(registered.text) as { access_token: string; refresh_token: string };
    const issued: { token: string; untilMs: number }[] = [];
    for (let step = 1; !stop; step += 1) {
      const refreshed = await pick(step).send('POST', '/api/auth/refresh', { body: { refresh_token: pair.refresh_token } });
      if (refreshed.status !== 200) throw new Error(`refresh answered ${refreshed.status}: ${refreshed.text}`);
      pair = JSON.parse(refreshed.text) as typeof pair;
      seen.add(kidOf(pair.access_token));
      issued.push({ token: pair.access_token, untilMs: Date.now() + 15_000 });
      while (issued.length > 200 || (issued[0]?.untilMs ?? Number.POSITIVE_INFINITY) < Date.now()) issued.shift();
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
    expect(stdout).toMatch(/signs from .*Z\.\n(.*\n)*.*(next|active)/);
    await Promise.race([load, eventually('the other rotations', () => seen.size >= ROTATIONS + 1, 60_000)]);
  } finally {
    stop = true;
  }
  await load;
  if (process.env['SHOW_FIGURES'] !== undefined)
    process.stderr.write(`${seen.size} keys, ${verifications} verifications, ${faults.length} failed\n`);
  expect(faults).toEqual([]);
  expect(seen.size).toBeGreaterThanOrEqual(ROTATIONS + 1);
  expect(verifications).toBeGreaterThan(500);
}, 120_000);

test('the command lists every key with its part, and keys that are gone are not kept', async () => {
  const { stdout } = await keysCommand('list');
  const states = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/)[1]);
  expect(states.filter((state) => state === 'active')).toHaveLength(1);
  expect(states).not.toContain('gone');
});

test('a compromised set is replaced: its tokens end within a poll, new ones are accepted on every worker', async () => {
  const client = createClient(fleet.url);
  const signIn = async () =>
    (await client('POST', '/api/auth/login', { body: { email: fleet.admin.email, password: fleet.admin.password } })).json
      .access_token as string;
  const old = await signIn();
  await keysCommand('rotate', '--compromised');
  const statuses = (token: string) =>
    Promise.all(connections.map(async (connection) => (await connection.send('GET', '/api/auth/profile', { token })).status));
  await eventually('every worker to refuse the old token', async () => (await statuses(old)).every((status) => status === 401));
  await eventually('every worker to accept a new one', async () => (await statuses(await signIn())).every((status) => status === 200));
});

test('what the command cannot do it says, with exit code 64', async () => {
  await expect(keysCommand('nonsense')).rejects.toMatchObject({ code: 64, stderr: expect.stringContaining('Usage') });
  const secret = { PATH: process.env['PATH'], ...fleet.environment, JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ' };
  await expect(run(process.execPath, [path.join(root, 'dist/src/cli/keys.js'), 'rotate'], { env: secret })).rejects.toMatchObject({
    code: 64,
    stderr: expect.stringContaining('JWT_SECRET is set'),
  });
});
