import { networksAround } from '../../../../src/platform/http/client-networks';
import { startTestService, type TestService } from '../../../support/app';
import { federationSettings, PAGE } from '../../../support/federation';
import { type Client, createClient, eventually, uniqueEmail } from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';
import { PASSKEY_SETTINGS } from '../../../support/passkeys';
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';

/** Two of a site, eight of a network provider. */
const MAX = '64';
const PER_SITE = 2;
const SITES = [1, 2, 3, 4];

const query = new URLSearchParams({ redirect_to: PAGE, code_challenge: 'a'.repeat(43) });
const WAYS = [
  [
    'by passkey',
    ['POST', '/api/auth/passkeys/sign-in/options'],
    { ...PASSKEY_SETTINGS, PASSKEY_CHALLENGES_MAX: MAX, PASSKEY_CHALLENGE_TTL_SECONDS: '3600' },
    'passkey_challenges',
  ],
  [
    // Nobody has to answer at the provider: the sign-in has begun.
    'at a provider',
    ['GET', `/api/auth/oidc/example/start?${query}`],
    { ...federationSettings({ example: 'http://127.0.0.1:9' }), OIDC_ATTEMPTS_MAX: MAX },
    'federation_steps',
  ],
  [
    // Of addresses without an account: a row is stored for each all the same.
    'by mail',
    ['POST', '/api/auth/email-sign-in'],
    { EMAIL_SIGN_IN: 'true', EMAIL_SIGN_INS_MAX: MAX },
    'mailed_codes',
  ],
] as const;

describe.each(WAYS)('sign-ins that begin %s', (_, [method, path], settings, collection) => {
  let mongo: TestMongo;
  let smtp: TestSmtp;
  let hosts: readonly TestService[];
  let clients: readonly Client[];
  beforeAll(async () => {
    mongo = await startTestMongo();
    smtp = await startTestSmtp();
    const trusting = { ...settings, TRUST_PROXY: '1', SMTP_URL: smtp.url };
    hosts = [await startTestService(trusting, mongo), await startTestService(trusting, mongo)];
    clients = hosts.map(({ baseUrl }) => createClient(baseUrl));
  });
  afterAll(async () => {
    for (const host of hosts ?? []) await host.close();
    await smtp?.close();
    await mongo?.close();
  });

  let turn = 0;
  /** On both hosts by turns: `true`, or how it is refused. */
  async function begin(address: string) {
    turn += 1;
    const { status, json, headers } = await (clients[turn % 2] as Client)(method, path, {
      headers: { 'x-forwarded-for': address },
      ...(collection === 'mailed_codes' && { body: { email: uniqueEmail() } }),
    });
    if (status < 400) return true;
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    return [status, json.code];
  }
  const LIMITED = [429, 'rate_limited'];
  const rows = () => hosts[0]?.database.connection.collection(collection);
  /** Codes are stored after the answer. */
  const stored = (count: number) =>
    eventually('the rows', async () => (await rows()?.countDocuments()) === count);

  /** Fills the share of a network provider; each of its sites has the share of one. */
  async function fill(addressAt: (site: number, host: number) => string) {
    for (const site of SITES) {
      for (let host = 1; host <= PER_SITE; host += 1)
        expect(await begin(addressAt(site, host))).toBe(true);
      // Takes nothing from the other sites.
      expect(await begin(addressAt(site, 9))).toEqual(LIMITED);
    }
    expect(await begin(addressAt(99, 1))).toEqual(LIMITED);
  }

  test('leave room for others, whatever one network begins (planted: one bound for all)', async () => {
    await fill((site, host) => `2001:db8:${site}:${host}00::1`);
    await fill((site, host) => `192.0.${site}.${host}`);
    expect(await begin('198.51.100.1')).toBe(true);
    await stored(17);
  });

  test('are of a bounded number, over all hosts (planted: no bound)', async () => {
    const before = (await rows()?.countDocuments()) ?? 0;
    for (let n = before; n < Number(MAX); n += 1) expect(await begin(`10.${n}.0.1`)).toBe(true);
    expect(await begin('10.200.0.1')).toEqual([503, 'overloaded']);
    await stored(Number(MAX));
  });
});

test.each([
  ['2001:db8:12:3400::/56', '2001:db8:12::/48', '2001:db8::/32'],
  ['192.0.2.7', '192.0.2.0/24', '192.0.0.0/16'],
  ['unknown', 'unknown', 'unknown'],
])('around %s are %s and %s', (network, site, provider) => {
  expect(networksAround(network)).toEqual({ site, provider });
});
