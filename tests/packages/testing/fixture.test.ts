import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { cpuMs, tree } from '../../../bench/processes';
import type * as Testing from '../../../packages/testing/src';
import type { Session, TestAuth } from '../../../packages/testing/src';
import { isRunning, root, until } from '../../support/service';

const PACKAGE = path.join(root, 'packages/testing/dist/cjs/index.js');
const { startAuth } = require(PACKAGE) as typeof Testing;

const MINUTE_MS = 60_000;
/**
 * Goals on a quiet machine: 2000 and 50 ms. Printed; judged with room for a busy one. Processor
 * time is judged beside them: a busy machine takes longer, and needs little more of it.
 */
const BUSY = 10;
const figure = (name: string, ms: number) =>
  process.stdout.write(`@clustered-auth/testing: ${name} ${Math.round(ms)} ms\n`);

let auth: TestAuth;
let readyMs = 0;
/** The service, and the engine of its database below it. */
let processes: readonly number[] = [];
let startCpuMs = 0;
let engineCpuMs = 0;
beforeAll(async () => {
  const others = tree(process.pid);
  const beganMs = performance.now();
  auth = await startAuth({ REFRESH_GRACE_SECONDS: 10, EMAIL_SIGN_IN: true });
  readyMs = performance.now() - beganMs;
  processes = tree(process.pid).filter((pid) => !others.includes(pid));
  startCpuMs = cpuMs(processes);
  engineCpuMs = cpuMs(processes.slice(1));
});
afterEach(() => auth.reset(), 60_000);
afterAll(() => auth?.close(), 60_000);

async function call(method: string, route: string, options: { body?: object; as?: Session } = {}) {
  const response = await fetch(`${auth.url}${route}`, {
    method,
    headers: { 'content-type': 'application/json', ...options.as?.headers },
    ...(options.body && { body: JSON.stringify(options.body) }),
  });
  const text = await response.text();
  const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
  return { status: response.status, body };
}
const refresh = (refresh_token: string) =>
  call('POST', '/api/auth/refresh', { body: { refresh_token } });

test('is ready soon', () => {
  figure('ready', readyMs);
  expect(readyMs).toBeLessThan(2000 * BUSY);
  // Of the engine alone it takes a quarter.
  figure('processor time until ready', startCpuMs);
  expect(engineCpuMs).toBeGreaterThan(0);
  expect(startCpuMs / engineCpuMs).toBeLessThan(8);
});

test('makes users of each role, signs them in, and its tokens are those of the service', async () => {
  const admin = await auth.createUser({ role: 'admin', name: 'Ada' });
  const session = await auth.signIn(admin);
  const { status, body } = await call('GET', '/api/auth/profile', { as: session });
  expect([status, body]).toEqual([
    200,
    expect.objectContaining({ id: admin.id, name: 'Ada', role: 'admin', email_verified: true }),
  ]);
  const { createRemoteJWKSet, jwtVerify } = await import('jose');
  const keys = createRemoteJWKSet(new URL(`${auth.url}/.well-known/jwks.json`));
  const { payload } = await jwtVerify(await auth.tokenOf(admin), keys, {
    issuer: auth.url,
    audience: 'api',
    typ: 'at+jwt',
  });
  expect(payload.sub).toBe(admin.id);
  await expect(auth.signIn({ ...admin, password: 'another one' })).rejects.toThrow('401');
});

test.each<[object, string]>([
  [{ role: 'nobody' }, 'role must be one of user, support, admin'],
  [{ email: 'not an address' }, 'email must be an e-mail address'],
  [{ password: 'x' }, 'password must have at least 8 characters'],
  [{ password: 'password' }, 'password is one of the most common passwords'],
  [
    { password: 'ada.lovelace', email: 'ada.lovelace@example.org' },
    'password must not be the name',
  ],
  [{ name: '' }, 'name must have at least 1 character'],
  [{ name: null }, 'name must be a string'],
  [{ email_verified: 'yes' }, 'email_verified must be true or false'],
  [{ emial: 'ada@example.org' }, 'emial is not a known field, did you mean email?'],
  [{ emailVerified: true }, 'emailVerified is not a known field'],
  [{ id: 'one' }, 'id is not a known field'],
])('a user that the service would not take is refused: %j', async (given, message) => {
  await expect(auth.createUser(given)).rejects.toThrow(`createUser: ${message}`);
});

test('absent members get values, and an address belongs to one user', async () => {
  const given = { name: undefined, email: 'one@example.org' } as unknown;
  const user = await auth.createUser(given as Testing.NewUser);
  expect(user).toMatchObject({ name: 'Test User', email: 'one@example.org' });
  await auth.signIn(user);
  await expect(auth.createUser({ email: 'ONE@example.org' })).rejects.toThrow(/e-?mail/i);
});

test('a misspelt filter is not one that fits every mail, and no time is not a time', async () => {
  const { mailbox, clock } = auth;
  const misspelt: object = { recipient: 'ada@example.org' };
  await expect(mailbox.list(misspelt)).rejects.toThrow('not recipient');
  await expect(mailbox.waitFor(misspelt)).rejects.toThrow('not recipient');
  const options: object = { timeout: 1 };
  await expect(mailbox.waitFor({}, options)).rejects.toThrow('timeoutMs, and not timeout');
  await expect(clock.advance(Number.NaN)).rejects.toThrow('must be a number');
  await expect(clock.set(new Date('no date'))).rejects.toThrow('must be a number');
  await expect(clock.set('2040-01-01' as unknown as Date)).rejects.toThrow('must be a number');
});

test('access tokens, refresh tokens and sessions expire by the moved clock', async () => {
  const session = await auth.signIn(await auth.createUser());
  await auth.clock.advance(14 * MINUTE_MS);
  expect((await call('GET', '/api/auth/profile', { as: session })).status).toBe(200);
  await auth.clock.advance(2 * MINUTE_MS);
  const late = await call('GET', '/api/auth/profile', { as: session });
  expect([late.status, late.body['code']]).toEqual([401, 'token_expired']);

  const renewed = await refresh(session.refresh_token);
  expect(renewed.status).toBe(200);
  // Within its grace window the same token gets the same answer, after it the session ends.
  expect((await refresh(session.refresh_token)).body).toEqual(renewed.body);
  const unused = await auth.signIn(await auth.createUser());
  await auth.clock.advance(11_000);
  expect((await refresh(session.refresh_token)).body['code']).toBe('refresh_token_reused');
  await auth.clock.advance(365 * 24 * 60 * MINUTE_MS);
  expect((await refresh(unused.refresh_token)).status).toBe(401);
});

test('links of mails are read, work, and expire by the moved clock', async () => {
  const user = await auth.createUser();
  const forgot = async () => {
    await auth.mailbox.clear();
    await call('POST', '/api/auth/password/forgot', { body: { email: user.email } });
    const mail = await auth.mailbox.waitFor({ to: user.email, subject: /password/i });
    return new URL(mail.links[0] ?? '').hash.replace(/^#?token=/, '');
  };
  const reset = (token: string, new_password: string) =>
    call('POST', '/api/auth/password/reset', { body: { token, new_password } });
  const token = await forgot();
  await auth.clock.advance(24 * 60 * MINUTE_MS);
  expect((await reset(token, 'a password after a day')).status).toBe(400);
  const next = await forgot();
  expect((await reset(next, 'a password in good time')).status).toBe(204);
  await auth.signIn({ ...user, password: 'a password in good time' });
  await expect(
    auth.mailbox.waitFor({ to: 'nobody@example.org' }, { timeoutMs: 50 }),
  ).rejects.toThrow(`no mail {"to":"nobody@example.org"} within 50 ms`);
});

test('a mailed code is read, and expires by the moved clock', async () => {
  const { email } = await auth.createUser();
  const begin = async () => {
    await auth.mailbox.clear();
    const { body } = await call('POST', '/api/auth/email-sign-in', { body: { email } });
    const { codes } = await auth.mailbox.waitFor({ to: email, subject: 'Your code to sign in' });
    return { sign_in_token: body['sign_in_token'], code: codes[0] };
  };
  const verify = (body: object) => call('POST', '/api/auth/email-sign-in/verify', { body });
  expect((await verify(await begin())).status).toBe(200);
  const late = await begin();
  await auth.clock.advance(11 * MINUTE_MS);
  expect((await verify(late)).body['code']).toBe('invalid_sign_in_code');
});

test('an account that was locked opens by the moved clock', async () => {
  const user = await auth.createUser();
  const attempt = (password: string) =>
    call('POST', '/api/auth/login', { body: { email: user.email, password } });
  let status = 0;
  for (let i = 0; i < 50 && status !== 429; i += 1)
    ({ status } = await attempt(`not the password ${i}`));
  expect(status).toBe(429);
  expect((await attempt(user.password)).status).toBe(429);
  await auth.clock.advance(24 * 60 * MINUTE_MS);
  expect((await attempt(user.password)).status).toBe(200);
});

test('the clock is set, goes on, and comes back with a reset', async () => {
  const then = Date.parse('2040-02-29T12:00:00Z');
  await auth.clock.set(new Date(then));
  const user = await auth.createUser();
  const { body } = await call('GET', '/api/auth/profile', { as: await auth.signIn(user) });
  expect(String(body['created_at'])).toMatch(/^2040-02-29T12:0/);
  expect((await auth.clock.now()) - then).toBeLessThan(MINUTE_MS);
  await auth.reset();
  expect(Math.abs((await auth.clock.now()) - Date.now())).toBeLessThan(1000);
});

test('a reset takes everything back in little time, and the keys stay', async () => {
  const keys = (await call('GET', '/.well-known/jwks.json')).body;
  const rounds: number[] = [];
  for (let round = 0; round < 7; round += 1) {
    const user = await auth.createUser({ email: 'one@example.org' });
    const session = await auth.signIn(user);
    await call('POST', '/api/auth/password/forgot', { body: { email: user.email } });
    await auth.mailbox.waitFor({ to: user.email });
    const beganMs = performance.now();
    await auth.reset();
    rounds.push(performance.now() - beganMs);
    expect((await call('GET', '/api/auth/profile', { as: session })).status).toBe(401);
    expect(await auth.mailbox.list()).toEqual([]);
    await expect(auth.signIn(user)).rejects.toThrow('401');
  }
  expect((await call('GET', '/.well-known/jwks.json')).body).toEqual(keys);
  const median = rounds.sort((a, b) => a - b)[3] ?? Number.NaN;
  figure('reset (median)', median);
  expect(median).toBeLessThan(50 * BUSY);
});

test('a reset takes a small part of the time of a start', async () => {
  const resets = 20;
  const before = cpuMs(processes);
  for (let n = 0; n < resets; n += 1) {
    await auth.createUser();
    await auth.reset();
  }
  const spent = cpuMs(processes) - before;
  figure('processor time of a user and a reset', spent / resets);
  // The goals are 40 to 1, of time.
  expect(spent / resets).toBeLessThan(startCpuMs / 10);
});

describe('settings', () => {
  test.each<[object, string]>([
    [{ NOT_A_SETTING: 1 }, 'NOT_A_SETTING is not a setting of this service'],
    [{ ACCESS_TOKEN_TTL_SECOND: 60 }, 'did you mean ACCESS_TOKEN_TTL_SECONDS?'],
    [{ rate_limit: false }, 'did you mean RATE_LIMIT?'],
    [{ REFRESH_GRACE_SECONDS: 'soon' }, 'REFRESH_GRACE_SECONDS must be'],
    [{ EMAIL_SIGN_IN: {} }, 'EMAIL_SIGN_IN must be a text, a number, or true or false'],
  ])('%j is refused', async (settings, message) => {
    await expect(startAuth(settings as Testing.Settings)).rejects.toThrow(message);
  });

  test('undefined is as left out', async () => {
    const settings = { RATE_LIMIT: undefined, EMAIL_SIGN_IN: undefined } as unknown;
    await (await startAuth(settings as Testing.Settings)).close();
  });
});

describe('is for tests only', () => {
  test('refuses to start where NODE_ENV is production, and settings that it makes itself', async () => {
    const script = `require(${JSON.stringify(PACKAGE)}).startAuth().catch((e) => console.log(e.message))`;
    const said = execFileSync(process.execPath, ['-e', script], {
      env: { ...process.env, NODE_ENV: 'production' },
      encoding: 'utf8',
    });
    expect(said.trim()).toBe('@clustered-auth/testing does not run where NODE_ENV is production');
    await expect(startAuth({ MONGODB_URI: 'mongodb://db/auth' })).rejects.toThrow('MONGODB_URI');
  });

  test.each([{ NODE_ENV: 'production' }, { NODE_ENV: 'development' }])(
    'its program does not run by itself: %j',
    (env) => {
      const program = path.join(root, 'packages/testing/dist/service/dist/main.js');
      const { status, stderr } = spawnSync(process.execPath, [program], { env, encoding: 'utf8' });
      expect([status, stderr]).toEqual([1, expect.stringContaining('only as a child of')]);
    },
  );

  test('the licences of the libraries whose code is in it are beside it', () => {
    const service = path.join(root, 'packages/testing/dist/service/dist');
    const text = readFileSync(path.join(service, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    for (const name of ['express', 'mongoose', 'mongodb', 'zod', 'jsonwebtoken'])
      expect(text).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+, `, 'm'));
  });

  test('the image has no code that could move a clock', () => {
    // The image has what .dockerignore lets in and the bundler reaches from the programs of dist/.
    const allowed = readFileSync(path.join(root, '.dockerignore'), 'utf8').match(/^!.*$/gm);
    expect(allowed).toEqual([
      ...['!package.json', '!package-lock.json', '!scripts/bundle.mjs', '!src'],
      // The administration page is bundled with it.
      ...['!packages/client/src', '!templates'],
    ]);
    const movesClock = (folder: string) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.js') && !file.includes('node_modules'))
        .some((file) => readFileSync(path.join(folder, file), 'utf8').includes('shiftArguments'));
    const built = ['main.js', 'pm2.js', 'cli', 'threads', 'chunks'];
    for (const part of built) expect(existsSync(path.join(root, 'dist', part))).toBe(true);
    expect(readFileSync(path.join(root, 'dist/main.js'), 'utf8')).not.toContain('shiftArguments');
    expect(
      ['cli', 'threads', 'chunks'].filter((part) => movesClock(path.join(root, 'dist', part))),
    ).toEqual([]);
    expect(movesClock(path.join(root, 'packages/testing/dist/service'))).toBe(true);
  });

  test('ends with the process that started it, however that ends', async () => {
    const script = `require(${JSON.stringify(PACKAGE)}).startAuth().then((a) => {
      console.log(require('node:child_process').execFileSync('pgrep', ['-P', process.pid, 'node']).toString());
      setInterval(() => a, 1000);
    })`;
    const parent = spawn(process.execPath, ['-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [printed] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(/\d+/.exec(printed.toString())?.[0]);
    expect(isRunning(pid)).toBe(true);
    const folder = readlinkSync(`/proc/${pid}/cwd`);
    parent.kill('SIGKILL');
    await until('the service to end', () => !isRunning(pid));
    expect(existsSync(folder)).toBe(false);
  });
});
