import { startTestService, type TestService } from '../../../support/app';
import {
  type Client,
  createClient,
  eventually,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';

let smtp: TestSmtp;
let service: TestService;
let client: Client;
beforeAll(async () => {
  smtp = await startTestSmtp();
  const settings = { SMTP_URL: smtp.url, EMAIL_SIGN_IN: 'true', TRUST_PROXY: '1' };
  service = await startTestService(settings);
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await service?.close();
  await smtp?.close();
});

const from =
  (address: string): Client =>
  (method, path, options = {}) =>
    client(method, path, {
      ...options,
      headers: { ...options.headers, 'x-forwarded-for': address },
    });

const HOME = '203.0.113.7';
const ELSEWHERE = '2001:db8:7::1';
/** Of networks that nobody else in a test has. */
const stranger = (network: number, host = 1) => `198.51.${network}.${host}`;

/** A verified account, of a device at HOME. */
async function account() {
  const email = uniqueEmail('owner');
  const { access_token: token } = await register(from(HOME), { email });
  await smtp.waitFor(email, /Confirm your e-mail/);
  const users = service.database.connection.collection('users');
  await users.updateOne({ emailKey: email }, { $set: { emailVerified: true } });
  return { email, token };
}

/** Mails of all kinds that were queued, and those beyond the limits. */
async function counted() {
  const sum = async (metric: string, pattern: RegExp) => {
    const text = await service.metrics.getSingleMetricAsString(metric);
    return [...text.matchAll(pattern)].reduce((total, [, count]) => total + Number(count), 0);
  };
  return {
    queued: await sum('auth_mails_queued_total', /\} (\d+)/g),
    refused: await sum('auth_mails_dropped_total', /reason="budget"} (\d+)/g),
  };
}

/** How many of the requests for a mail to `email` get one. */
async function mailed(email: string, addresses: readonly string[], ask: Ask): Promise<number> {
  const before = await counted();
  for (const address of addresses) expect((await ask(from(address), email)).status).toBe(202);
  return eventually('all to be queued or refused', async () => {
    const { queued, refused } = await counted();
    const all = queued - before.queued + refused - before.refused;
    return all === addresses.length && queued - before.queued;
  });
}

type Ask = (its: Client, email: string) => ReturnType<Client>;
const forgot: Ask = (its, email) => its('POST', '/api/auth/password/forgot', { body: { email } });
const code: Ask = (its, email) => its('POST', '/api/auth/email-sign-in', { body: { email } });

describe.each([
  ['to set a new password', forgot],
  ['with a code to sign in', code],
])('of the mails %s', (_, ask) => {
  test('one network asks for five an hour; others have mails left (planted: one number for all)', async () => {
    const { email } = await account();
    const site = Array.from({ length: 12 }, (_, n) => stranger(1, n));
    const sent = await mailed(email, site, ask);
    expect(sent).toBeGreaterThanOrEqual(5);
    // Two windows, if the hour has just turned.
    expect(sent).toBeLessThanOrEqual(10);
    expect(await mailed(email, [ELSEWHERE], ask)).toBe(1);
  });

  test('strangers of many networks do not flood the mailbox, nor use up those of a known device', async () => {
    const { email } = await account();
    const many = Array.from({ length: 24 }, (_, n) => stranger(n));
    const sent = await mailed(email, many, ask);
    expect(sent).toBeGreaterThanOrEqual(10);
    expect(sent).toBeLessThanOrEqual(20);
    const ofOwner = await mailed(email, Array(12).fill(HOME), ask);
    expect(ofOwner).toBeGreaterThanOrEqual(5);
    expect(ofOwner).toBeLessThanOrEqual(10);
  });
});

const change =
  (token: string): Ask =>
  (its, new_email) =>
    its('POST', '/api/auth/email/change', {
      token,
      body: { new_email, current_password: PASSWORD },
    });

test('a request for a change to an address leaves mails to its owner', async () => {
  const [thief, owner] = [await account(), await account()];
  const next = uniqueEmail('next');
  const sent = await mailed(next, Array(7).fill(stranger(1)), change(thief.token));
  expect(sent).toBeGreaterThanOrEqual(5);
  expect(await mailed(next, [HOME], change(owner.token))).toBe(1);
});

test('accounts of many networks do not flood one address (planted: no limit of all)', async () => {
  const next = uniqueEmail('next');
  let sent = 0;
  for (const network of [10, 20, 30, 40, 50]) {
    const { token } = await account();
    sent += await mailed(next, Array(5).fill(stranger(network)), change(token));
  }
  expect(sent).toBeGreaterThanOrEqual(10);
  // Two windows, if the hour has just turned.
  expect(sent).toBeLessThanOrEqual(20);
});
