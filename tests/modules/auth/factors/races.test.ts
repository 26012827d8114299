import { setTimeout as pause } from 'node:timers/promises';
import type { MongoProxy } from '../../../../faults/mongo-proxy';
import {
  appOf,
  claimsIn,
  firstStep,
  laterOn,
  signIn,
  verify,
  withTotp,
} from '../../../support/factors';
import { type Answer, type Client, login, PASSWORD, register } from '../../../support/http';
import { PASSKEY_SETTINGS, passkeyPage } from '../../../support/passkeys';
import { startTwoHosts, type TwoHosts } from '../../../support/two-hosts';

let hosts: TwoHosts;
let near: Client;
let far: Client;
let proxy: MongoProxy;
beforeAll(async () => {
  hosts = await startTwoHosts(PASSKEY_SETTINGS);
  ({ near, far, proxy } = hosts);
});
afterEach(() => proxy.pass());
afterAll(() => hosts?.close());

const host = () => hosts.nearHost;
const sessionOf = (token: string) =>
  host()
    .database.connection.collection<{ _id: string }>('sessions')
    .findOne({ _id: String(claimsIn(token)['sid']) });
/** The first of ten recovery codes. */
async function works(email: string, code: string): Promise<void> {
  const used = await verify(near, await firstStep(near, email), code, 'recovery_code');
  expect([used.status, used.json.recovery_codes_left]).toEqual([200, 9]);
}

test('a session has no factor that was removed while it was checked', async () => {
  const { id, email, app, factorId, token } = await withTotp(host(), near);
  const opened = await verify(near, await firstStep(near, email), app());
  const other = opened.json.access_token as string;
  await laterOn(host(), id);
  // On its way to the session's row, after the code was found right.
  const body = { factor: 'totp', code: app() };
  const steppingUp = await hosts.heldFrom('firstAmr', () =>
    far('POST', '/api/auth/mfa/step-up', { token: other, body }),
  );
  const removed = await near('DELETE', `/api/auth/factors/${factorId}`, { token });
  proxy.release();
  expect(removed.status).toBe(204);
  const answer = await steppingUp.answer;
  expect([answer.status, answer.json.errors?.[0]?.code]).toEqual([422, 'wrong_code']);
  expect(await sessionOf(other)).toMatchObject({ stepUpEnded: true });
});

test('nor has one that is removed while it is confirmed', async () => {
  const { user, access_token: token } = await register(near);
  const admin = await login(near, host().admin.email, host().admin.password);
  const enrolled = await near('POST', '/api/auth/factors/totp', { token, body: {} });
  const body = { code: appOf(enrolled.json.otpauth_uri)() };
  const confirming = await hosts.heldFrom('firstAmr', () =>
    far('POST', '/api/auth/factors/totp/confirm', { token, body }),
  );
  const removed = await near('DELETE', `/api/users/${user.id}/factors`, { token: admin });
  proxy.release();
  expect(removed.status).toBe(204);
  const answer = await confirming.answer;
  expect([answer.status, answer.json.errors?.[0]?.code]).toEqual([422, 'wrong_code']);
  expect(await sessionOf(token)).toMatchObject({ stepUpEnded: true });
});

/** The beginning of a command on the collection, as it is sent. */
const onCommand = (command: string, collection: string) =>
  `\u0002${command}\u0000${String.fromCharCode(collection.length + 1)}\u0000\u0000\u0000${collection}\u0000`;
const onCodes = (command: string) => onCommand(command, 'recovery_codes');

/**
 * The answer to `change` of a session that is ended while its write, which has this text, is on its
 * way to the database.
 */
async function endedMeanwhile(own: string, text: string, change: () => Promise<Answer>) {
  const changing = await hosts.heldFrom(text, change);
  const body = { current_password: PASSWORD, new_password: NEXT };
  const ended = await near('PATCH', '/api/auth/password', { token: own, body });
  proxy.release();
  expect(ended.status).toBe(200);
  return (await changing.answer).json.code;
}

const NEXT = 'a new one for the owner';

test('a session that has ended adds no app', async () => {
  const { user, access_token: token } = await register(near);
  const enrolled = await near('POST', '/api/auth/factors/totp', { token, body: {} });
  const body = { code: appOf(enrolled.json.otpauth_uri)() };
  const code = await endedMeanwhile(
    await login(near, user.email, PASSWORD),
    onCommand('update', 'factors'),
    () => far('POST', '/api/auth/factors/totp/confirm', { token, body }),
  );
  expect(code).toBe('invalid_token');
  const signedIn = await signIn(near, user.email, NEXT);
  expect(signedIn.json).toHaveProperty('access_token');
});

test('nor a passkey', async () => {
  const { user, access_token: token } = await register(near);
  const page = passkeyPage(far);
  const { public_key } = (await page.creation(token)).json;
  const { credential } = page.authenticator.create(public_key, {});
  const code = await endedMeanwhile(await login(near, user.email, PASSWORD), '$push', () =>
    page.register(token, credential),
  );
  expect(code).toBe('invalid_token');
  const signedIn = await signIn(near, user.email, NEXT);
  expect(signedIn.json).toHaveProperty('access_token');
});

/** `held` begins on the far host, and writes its recovery codes only after `other` has begun. */
async function during(command: string, held: () => Promise<Answer>, other: () => Promise<Answer>) {
  const first = await hosts.heldFrom(onCodes(command), held);
  const second = other();
  await pause(300);
  proxy.release();
  return Promise.all([first.answer, second]);
}

test('nor does it get recovery codes', async () => {
  const { id, email, app, token: own } = await withTotp(host(), near);
  const opened = await verify(near, await firstStep(near, email), app());
  const token = opened.json.access_token as string;
  const code = await endedMeanwhile(own, onCodes('update'), () =>
    far('POST', '/api/auth/factors/recovery-codes', { token }),
  );
  expect(code).toBe('invalid_token');
  const codes = host().database.connection.collection<{ _id: string }>('recovery_codes');
  expect(await codes.countDocuments({ _id: id })).toBe(0);
});

test('a factor that is added while the last one is removed comes with recovery codes', async () => {
  const { email, factorId, token } = await withTotp(host(), near);
  const page = passkeyPage(near);
  const { public_key } = (await page.creation(token)).json;
  const { credential } = page.authenticator.create(public_key, {});
  const [removed, added] = await during(
    'delete',
    () => far('DELETE', `/api/auth/factors/${factorId}`, { token }),
    () => page.register(token, credential),
  );
  expect([removed?.status, added?.status]).toEqual([204, 201]);
  await works(email, added?.json.recovery_codes?.[0] ?? '');
});
