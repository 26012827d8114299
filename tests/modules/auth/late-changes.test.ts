import { setTimeout as sleep } from 'node:timers/promises';
import type { MongoProxy } from '../../../faults/mongo-proxy';
import { createIdentities } from '../../../src/modules/auth/federation/identities';
import { addTotp, appOf, firstStep, laterOn, verify, withTotp } from '../../support/factors';
import { type Answer, type Client, login, PASSWORD, register } from '../../support/http';
import { PASSKEY_SETTINGS, passkeyPage } from '../../support/passkeys';
import { startTwoHosts, type TwoHosts } from '../../support/two-hosts';

let hosts: TwoHosts;
let near: Client;
let far: Client;
let proxy: MongoProxy;
beforeAll(async () => {
  hosts = await startTwoHosts({ ...PASSKEY_SETTINGS, DB_OPERATION_TIMEOUT_MS: '1000' });
  ({ near, far, proxy } = hosts);
});
afterEach(() => proxy.pass());
afterAll(() => hosts?.close());

const host = () => hosts.nearHost;

/** `change` is answered 503. What it held up arrives after `meanwhile`. */
async function late<T>(text: string, change: () => Promise<Answer>, meanwhile: () => Promise<T>) {
  const { answer } = await hosts.heldFrom(text, change);
  expect((await answer).status).toBe(503);
  const result = await meanwhile();
  proxy.release();
  await sleep(300);
  return result;
}

/** The removal of factors of one kind, and whatever the host sends with it. */
const REMOVALS = {
  apps: '\u0002delete\u0000\u0008\u0000\u0000\u0000factors',
  passkeys: '\u0002findAndModify\u0000\u0009\u0000\u0000\u0000passkeys',
};
const nothing = async () => undefined;

describe('what is held up on the wire until its caller was told 503', () => {
  test('adds no passkey', async () => {
    const { access_token: token } = await register(near);
    const page = passkeyPage(far);
    const { credential } = page.authenticator.create((await page.creation(token)).json.public_key);
    await late('minVersion', () => page.register(token, credential), nothing);
    expect(await passkeyPage(near).list(token)).toEqual([]);
  });

  test('does not undo a later name of a passkey', async () => {
    const { access_token: token } = await register(near);
    const { passkeyId } = await passkeyPage(near).add(token);
    const rename = (by: Client, name: string) => () =>
      by('PATCH', `/api/auth/passkeys/${passkeyId}`, { token, body: { name } });
    const renamed = await late('GIVEN-UP', rename(far, 'GIVEN-UP'), rename(near, 'NEWER'));
    expect(renamed.status).toBe(200);
    expect(await passkeyPage(near).list(token)).toMatchObject([{ name: 'NEWER' }]);
  });

  test('confirms no app', async () => {
    const { access_token: token } = await register(near);
    const enrolled = await near('POST', '/api/auth/factors/totp', { token, body: {} });
    const body = { code: appOf(enrolled.json.otpauth_uri)() };
    const confirm = () => far('POST', '/api/auth/factors/totp/confirm', { token, body });
    await late('lastStep', confirm, nothing);
    expect((await near('GET', '/api/auth/factors', { token })).json.data).toEqual([]);
  });

  test('does not replace recovery codes that were shown since', async () => {
    const { email, token } = await withTotp(host(), near);
    const replace = (by: Client) => () => by('POST', '/api/auth/factors/recovery-codes', { token });
    const { json } = await late('minVersion', replace(far), replace(near));
    const code = json.recovery_codes[0] as string;
    const used = await verify(near, await firstStep(near, email), code, 'recovery_code');
    expect(used.status).toBe(200);
  });

  test('does not replace a refresh token that was given since', async () => {
    const { id, app, token, refreshToken } = await withTotp(host(), near);
    await laterOn(host(), id);
    const body = { factor: 'totp', code: app() };
    const stepUp = () => far('POST', '/api/auth/mfa/step-up', { token, body });
    const refresh = (refresh_token: string) => () =>
      near('POST', '/api/auth/refresh', { body: { refresh_token } });
    const { json } = await late('firstAmr', stepUp, refresh(refreshToken));
    expect((await refresh(json.refresh_token)()).status).toBe(200);
  });

  test.each(Object.entries(REMOVALS))('removes no %s that were added since', async (_, removal) => {
    const { id, email } = await withTotp(host(), near);
    const admin = await login(near, host().admin.email, host().admin.password);
    const reset = (by: Client) => () => by('DELETE', `/api/users/${id}/factors`, { token: admin });
    const meanwhile = async () => {
      expect((await reset(near)()).status).toBe(204);
      const passkeys = passkeyPage(near);
      const { added } = await passkeys.add(await login(near, email, PASSWORD));
      return addTotp(near, added.access_token);
    };
    const factors = async (token: string) =>
      (await near('GET', '/api/auth/factors', { token })).json.data.map(
        (one: { kind: string; remaining?: number }) => [one.kind, one.remaining],
      );
    const { token } = await late(removal, reset(far), meanwhile);
    const kinds = [
      ['passkey', undefined],
      ['totp', undefined],
      ['recovery_code', 10],
    ];
    expect(await factors(token)).toEqual(kinds);
  });

  test('links no identity', async () => {
    const { connection } = hosts.farHost.database;
    const identities = createIdentities(connection, { timeoutMs: 1000, now: Date.now });
    const userId = '0123456789abcdef01234567';
    const of = (subject: string) => {
      const issuer = 'https://one.example.org';
      return identities.insert({ issuer, subject, provider: 'one', userId, email: null });
    };
    expect(await of('in time')).toMatchObject({ subject: 'in time' });
    proxy.holdFrom('held up');
    await expect(of('held up')).rejects.toThrow();
    expect(proxy.isHolding()).toBe(true);
    proxy.release();
    await sleep(300);
    expect(await identities.ofUser(userId)).toMatchObject([{ subject: 'in time' }]);
  });
});
