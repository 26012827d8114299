import { suite } from '../../faults/clocks';
import { type ClockHost, openClockStage } from '../../faults/clocks-kit';
import { parseConfig } from '../../src/kernel/config/config';
import { connectDatabase } from '../../src/platform/mongo/connection';
import { createLocks } from '../../src/platform/mongo/locks';
import { createLogger } from '../../src/platform/telemetry/logger';
import { type Client, PASSWORD, register, uniqueEmail } from '../support/http';
import { startTestMongo } from '../support/mongo';

const profile = async (client: Client, token: string) =>
  (await client('GET', '/api/auth/profile', { token })).status;
const signIn = async (client: Client, email: string) =>
  (await client('POST', '/api/auth/login', { body: { email, password: PASSWORD } })).json as {
    access_token: string;
  };

describe('hosts with different clocks', () => {
  const [scenario] = suite.scenarios;

  test('every guarantee holds on hosts whose clocks are ±1 h off', async () => {
    const outcome = await scenario?.run({ quick: true, planted: false });
    expect(outcome?.met === true ? 'met' : outcome).toBe('met');
  }, 300_000);

  test('the check fails for hosts that use their own clocks', async () => {
    const outcome = await scenario?.run({ quick: true, planted: true });
    expect(outcome?.met).toBe(false);
    for (const finding of [
      'live tokens refused',
      'guesses beyond the limit',
      'hosts that do not say how far they are off',
    ])
      expect(Number(outcome?.figures[finding])).toBeGreaterThan(0);
  }, 300_000);
});

test("a lock is held by the database's time: a host an hour ahead does not take it", async () => {
  const mongo = await startTestMongo();
  const { connection, ...database } = await connectDatabase(
    mongo.uri,
    parseConfig({ NODE_ENV: 'test' }).database,
    createLogger({ level: 'silent' }),
  );
  const locks = createLocks(connection, { ttlMs: 20_000, timeoutMs: 2000 });
  try {
    await locks.withLock('one', async () => {
      const wallClock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 3_600_000);
      await expect(locks.withLock('one', async () => 'taken')).rejects.toMatchObject({
        code: 'busy',
      });
      wallClock.mockRestore();
    });
    expect(await locks.withLock('one', async () => 'free again')).toBe('free again');
  } finally {
    await database.close();
    await mongo.close();
  }
});

interface Health {
  readonly status: string;
  readonly clock: { readonly status: string; readonly offset_ms: number };
}

/**
 * One host has the old settings. The second has lower ones and a clock one minute behind. The clock
 * of the third is within the leeway.
 */
describe('hosts whose clocks and settings differ', () => {
  let stage: Awaited<ReturnType<typeof openClockStage>>;
  let old: Client;
  let lowered: Client;
  beforeAll(async () => {
    stage = await openClockStage({
      hosts: [
        { aheadSeconds: 0, env: { REFRESH_GRACE_SECONDS: '60' } },
        {
          aheadSeconds: -60,
          env: {
            ACCESS_TOKEN_TTL_SECONDS: '10',
            CLOCK_LEEWAY_SECONDS: '0',
            REFRESH_GRACE_SECONDS: '1',
          },
        },
        { aheadSeconds: 3 },
      ],
    });
    [old, lowered] = stage.hosts.map(({ client }) => client) as [Client, Client];
  }, 200_000);
  afterAll(() => stage?.close());

  const refresh = (client: Client, refresh_token: string, headers: Record<string, string> = {}) =>
    client('POST', '/api/auth/refresh', { body: { refresh_token }, headers });

  test('a host whose clock is off logs it at its start; a clock within the leeway is accepted', async () => {
    const [, behind, near] = stage.hosts as [ClockHost, ClockHost, ClockHost];
    const line = await behind.service.waitForLog(
      "this host's clock is 60.0 s behind the database's; the database's time is used",
    );
    expect(line.level).toBe('warn');
    expect((await behind.client('GET', '/readyz')).json).toEqual({
      status: 'degraded',
      draining: false,
    });
    const { status, clock } = (await near.client('GET', '/health')).json as Health;
    expect([status, clock.status]).toEqual(['ok', 'ok']);
    expect(Math.abs(clock.offset_ms - 3000)).toBeLessThan(1000);
  });

  test('twenty rotations within the grace period: the other host repeats the answer for every token', async () => {
    const first = await register(old);
    const chain: { token: string; text: string }[] = [];
    let token = first.refresh_token;
    for (let i = 0; i < 20; i += 1) {
      // The rotating host sets the grace period: this request goes to the host with the longer one.
      const answer = await refresh(old, token);
      expect(answer.status).toBe(200);
      chain.push({ token, text: answer.text });
      token = (answer.json as { refresh_token: string }).refresh_token;
    }
    for (const { token: used, text } of chain)
      expect((await refresh(lowered, used)).text).toBe(text);
    expect((await refresh(lowered, token)).status).toBe(200);
  });

  test('after the grace period no host repeats the token pair for an Idempotency-Key', async () => {
    const { refresh_token: token, access_token: access } = await register(lowered);
    const headers = { 'idempotency-key': 'the-same-key-at-both' };
    const first = await refresh(lowered, token, headers);
    expect((await refresh(old, token, headers)).text).toBe(first.text);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const late = await refresh(old, token, headers);
    expect([late.status, (late.json as { code: string }).code]).toEqual([
      401,
      'refresh_token_reused',
    ]);
    expect(await profile(old, access)).toBe(401);
  });

  test('a logout that reuses an Idempotency-Key at the other host still ends its own session', async () => {
    const email = uniqueEmail('keyed');
    const headers = { 'idempotency-key': 'one-key-for-two-logouts' };
    const { access_token: first } = await register(old, { email });
    expect((await old('POST', '/api/auth/logout', { token: first, headers })).status).toBe(204);
    const { access_token: second } = await signIn(lowered, email);
    expect((await lowered('POST', '/api/auth/logout', { token: second, headers })).status).toBe(
      204,
    );
    expect(await profile(old, second)).toBe(401);
  });

  test('a revoked token with a longer lifetime stays revoked when another session ends', async () => {
    const email = uniqueEmail('lowered');
    const { access_token: long } = await register(old, { email });
    expect((await lowered('POST', '/api/auth/logout', { token: long })).status).toBe(204);
    // Longer than the present settings would store the revocation.
    await new Promise((resolve) => setTimeout(resolve, 10_500));
    const last = await signIn(lowered, email);
    expect((await lowered('POST', '/api/auth/logout', { token: last.access_token })).status).toBe(
      204,
    );
    for (const client of [old, lowered]) {
      expect(await profile(client, last.access_token)).toBe(401);
      expect(await profile(client, long)).toBe(401);
    }
  });
});
