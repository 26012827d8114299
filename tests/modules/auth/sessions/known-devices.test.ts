import type { MongoProxy } from '../../../../faults/mongo-proxy';
import type { TestService } from '../../../support/app';
import { type Client, eventually, PASSWORD, register } from '../../../support/http';
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';
import { startTwoHosts, type TwoHosts } from '../../../support/two-hosts';

/** A device is known by a login under the present password alone. */
let smtp: TestSmtp;
let hosts: TwoHosts;
let proxy: MongoProxy;
/** The thief's requests go to the far host, whose commands can be held; the owner's to `near`. */
let near: TestService;
let thief: Client;
let owner: Client;

beforeAll(async () => {
  smtp = await startTestSmtp();
  const settings = { SMTP_URL: smtp.url, TRUST_PROXY: '1', LOGIN_ATTEMPTS_PER_ACCOUNT: '1' };
  hosts = await startTwoHosts(settings, { DB_OPERATION_TIMEOUT_MS: '1000' });
  ({ nearHost: near, near: owner, far: thief, proxy } = hosts);
});
afterEach(() => proxy.pass());
afterAll(async () => {
  await hosts?.close();
  await smtp?.close();
});

const NEW_PASSWORD = 'a brand new password';
const THIEF = '203.0.113.5';
const HOME = '198.51.100.7';
const STRANGER = '192.0.2.9';
const from = (address: string) => ({ 'x-forwarded-for': address, 'user-agent': 'browser/1' });
const loginAt = (at: Client, email: string, password: string, address: string) =>
  at('POST', '/api/auth/login', { body: { email, password }, headers: from(address) });
const rowsOf = (userId: string) =>
  near.database.connection.collection('known_devices').countDocuments({ userId });

/** A known device has an attempt of its own where a stranger has used up that of the account. */
async function isKnown(email: string, password: string, address: string): Promise<boolean> {
  // Windows are aligned to the clock: both attempts must fall within one.
  await eventually('a window', () => 300_000 - (Date.now() % 300_000) > 10_000, 15_000);
  await loginAt(owner, email, 'a wrong password', STRANGER);
  const { status } = await loginAt(owner, email, password, address);
  expect([200, 429]).toContain(status);
  return status === 200;
}

/** The login finds the password right; its device is stored when the proxy lets it pass. */
async function loginWithHeldDevice(email: string) {
  proxy.holdFrom('update\0\x0e\0\0\0known_devices');
  await loginAt(thief, email, PASSWORD, THIEF);
  await eventually('the held command', () => proxy.isHolding());
}
async function deviceArrives(userId: string, devices: number) {
  proxy.pass();
  await eventually('the late device', async () => (await rowsOf(userId)) === devices);
}

async function resetByMail(email: string) {
  const mails = smtp.mails.length;
  await owner('POST', '/api/auth/password/forgot', { body: { email } });
  const { text } = await smtp.waitFor(email, /Set a new password/, mails);
  const [, token] = /The token is: ([A-Za-z0-9_-]{43})\n/.exec(text) ?? [];
  const body = { token, new_password: NEW_PASSWORD };
  expect((await owner('POST', '/api/auth/password/reset', { body })).status).toBe(204);
}

test('a login that was on its way at the reset makes no device known', async () => {
  const { user } = await register(owner);
  await loginWithHeldDevice(user.email);
  await resetByMail(user.email);
  expect(await rowsOf(user.id)).toBe(0);
  await deviceArrives(user.id, 1);
  expect(await isKnown(user.email, NEW_PASSWORD, THIEF)).toBe(false);
});

async function atHome() {
  const { user } = await register(owner);
  const { json } = await loginAt(owner, user.email, PASSWORD, HOME);
  return { ...user, token: json.access_token as string };
}
const change = (token: string) =>
  owner('PATCH', '/api/auth/password', {
    token,
    body: { current_password: PASSWORD, new_password: NEW_PASSWORD },
    headers: from(HOME),
  });

test('nor at a change of the password, which leaves the own device known', async () => {
  const { id, email, token } = await atHome();
  await loginWithHeldDevice(email);
  expect((await change(token)).status).toBe(200);
  await deviceArrives(id, 2);
  expect(await isKnown(email, NEW_PASSWORD, THIEF)).toBe(false);
  expect((await loginAt(owner, email, NEW_PASSWORD, HOME)).status).toBe(200);
});

test('a device stays known after the end of all sessions, and becomes known after a reset', async () => {
  const { email, token } = await atHome();
  expect((await owner('POST', '/api/auth/logout?scope=global', { token })).status).toBe(204);
  expect(await isKnown(email, PASSWORD, HOME)).toBe(true);
  await resetByMail(email);
  expect((await loginAt(owner, email, NEW_PASSWORD, HOME)).status).toBe(200);
  expect(await isKnown(email, NEW_PASSWORD, HOME)).toBe(true);
});
