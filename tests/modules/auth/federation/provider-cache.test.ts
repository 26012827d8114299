import { randomBytes } from 'node:crypto';
import { createProvider } from '../../../../src/modules/auth/federation/provider';
import { createLogger } from '../../../../src/platform/telemetry/logger';
import { createWalker } from '../../../support/browser-walk';
import { CLIENT } from '../../../support/federation';
import { eventually } from '../../../support/http';
import { startTestProvider, type TestProvider } from '../../../support/oidc-provider';

const METADATA = '/.well-known/openid-configuration';
const KEYS = '/jwks';
const CALLBACK = 'https://api.example.org/callback';
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const UNAVAILABLE = { status: 503, code: 'oidc_provider_unavailable' };

let real: TestProvider;
beforeEach(async () => {
  real = await startTestProvider({ ...CLIENT, redirectUri: CALLBACK });
  await real.become({ sub: 'grace', claims: {} });
});
afterEach(() => real?.close());

/** The service's side of the provider, whose clock the test moves. */
function connect(timeoutMs = 5000) {
  let nowMs = 0;
  const provider = createProvider({
    settings: {
      ...{ ...CLIENT, id: 'example', name: 'Example', issuer: real.issuer },
      ...{ scopes: ['openid'], trustsEmail: false, clientAuthentication: undefined },
    },
    ...{ redirectUri: CALLBACK, timeoutMs, log: createLogger({ level: 'silent' }) },
    monotonic: () => nowMs,
  });
  const newSecrets = () => {
    const [state = '', nonce = '', verifier = ''] = [1, 2, 3].map(() =>
      randomBytes(32).toString('base64url'),
    );
    return { state, nonce, verifier };
  };
  const begin = () => provider.authorizationUrl(newSecrets());
  return {
    begin,
    later(ms: number) {
      nowMs += ms;
    },
    /** What the browser brings back from the provider, ready to be checked. */
    async comeBack() {
      const secrets = newSecrets();
      const walker = createWalker({ hosts: {}, pages: [CALLBACK] });
      const { url } = await walker.go(await provider.authorizationUrl(secrets));
      return () => provider.claimsOf(Object.fromEntries(url.searchParams), secrets);
    },
  };
}

const countOf = (path: string, count: number) =>
  eventually(`${count} requests to ${path}`, async () => (await real.count(path)) === count);

describe('the metadata of a provider', () => {
  test('is read once by many at once, and again after an hour, while the older serves', async () => {
    const one = connect();
    await Promise.all(Array.from({ length: 20 }, one.begin));
    one.later(59 * MINUTE_MS);
    await one.begin();
    expect(await real.count(METADATA)).toBe(1);
    // Nobody waits for a slow provider that is known.
    await real.behave({ path: METADATA, delayMs: 2000 });
    one.later(2 * MINUTE_MS);
    const beganMs = performance.now();
    await Promise.all(Array.from({ length: 20 }, one.begin));
    expect(performance.now() - beganMs).toBeLessThan(1500);
    await countOf(METADATA, 2);
  });

  test('serves for a day where it cannot be read; one failed read refuses five seconds', async () => {
    const one = connect();
    await one.begin();
    await real.behave({ path: METADATA, status: 503 });
    one.later(23 * HOUR_MS);
    await one.begin();
    await countOf(METADATA, 2);
    one.later(2 * HOUR_MS);
    await expect(one.begin()).rejects.toMatchObject(UNAVAILABLE);
    const failed = await real.count(METADATA);
    await real.behave({ path: METADATA });
    one.later(4000);
    for (let n = 0; n < 10; n += 1) await expect(one.begin()).rejects.toMatchObject(UNAVAILABLE);
    expect(await real.count(METADATA)).toBe(failed);
    one.later(2000);
    await one.begin();
    expect(await real.count(METADATA)).toBe(failed + 1);
  });

  test('that does not come in time is not waited for, and by fifty requests at most', async () => {
    await real.behave({ path: METADATA, delayMs: 10_000 });
    const one = connect(1000);
    const beganMs = performance.now();
    const endedMs: number[] = [];
    const answers = Array.from({ length: 60 }, async () => {
      await expect(one.begin()).rejects.toMatchObject(UNAVAILABLE);
      endedMs.push(performance.now() - beganMs);
    });
    await Promise.all(answers);
    expect(endedMs.filter((ms) => ms < 900)).toHaveLength(10);
    expect(Math.max(...endedMs)).toBeLessThan(5000);
    await countOf(METADATA, 1);
  });
});

describe('the keys of a provider', () => {
  const now = Date.now;
  afterEach(() => {
    Date.now = now;
  });

  test('are read once for many sign-ins, and again after five minutes', async () => {
    const one = connect();
    for (let n = 0; n < 3; n += 1)
      expect(await (await one.comeBack())()).toMatchObject({ subject: 'grace' });
    expect(await real.count(KEYS)).toBe(1);
    const claims = await one.comeBack();
    Date.now = () => now() + 5 * MINUTE_MS + 1000;
    expect(await claims()).toMatchObject({ subject: 'grace' });
    expect(await real.count(KEYS)).toBe(2);
  });

  test('come in the time of the whole request, or the sign-in is refused', async () => {
    const one = connect(3000);
    const claims = await one.comeBack();
    // Each in time by itself.
    for (const path of ['/token', KEYS]) await real.behave({ path, delayMs: 2000 });
    const beganMs = performance.now();
    await expect(claims()).rejects.toMatchObject(UNAVAILABLE);
    expect(performance.now() - beganMs).toBeLessThan(8000);
  });
});
