import { createUserModel } from '../../../../src/modules/users/model';
import { createUserRepository } from '../../../../src/modules/users/repository';
import type { Snapshot } from '../../../../src/modules/users/snapshot';
import { startTestService, type TestService } from '../../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';
import { keptAlive } from '../../../support/kept-alive';
import { anyTime, lookAt } from '../../../support/snapshots';

let service: TestService;
let client: Client;

beforeAll(async () => {
  service = await startTestService({ SESSIONS_PER_USER: '4' });
  client = createClient(service.baseUrl);
});
afterAll(() => service?.close());

const refresh = (refresh_token: unknown, from = client) =>
  from('POST', '/api/auth/refresh', { body: { refresh_token } });
const profileStatus = async (token: string, from = client) =>
  (await from('GET', '/api/auth/profile', { token })).status;
const signIn = async (
  email: string,
  headers: Record<string, string> = {},
  password = PASSWORD,
  from = client,
) => {
  const answer = await from('POST', '/api/auth/login', { body: { email, password }, headers });
  expect(answer.status).toBe(200);
  return answer.json as { access_token: string; refresh_token: string };
};
const rows = () => service.database.connection.collection('sessions');
const sidOf = (token: string) =>
  (
    JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as {
      sid: string;
    }
  ).sid;

async function adminToken() {
  return login(client, service.admin.email, service.admin.password);
}

describe('refresh', () => {
  test('gives a new pair every time', async () => {
    const first = await register(client);
    let { refresh_token: token } = first;
    const seen = new Set([token]);
    for (let i = 0; i < 5; i += 1) {
      const answer = await refresh(token);
      expect(answer.status).toBe(200);
      expect(Object.keys(answer.json).sort()).toEqual([
        'access_token',
        'expires_in',
        'refresh_token',
        'token_type',
      ]);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect(await profileStatus(answer.json.access_token)).toBe(200);
      expect(sidOf(answer.json.access_token)).toBe(sidOf(first.access_token));
      token = answer.json.refresh_token;
      expect(seen.has(token)).toBe(false);
      seen.add(token);
    }
  });

  test('ten concurrent refreshes of one token get the same pair, in twenty rounds', async () => {
    const connections = Array.from({ length: 10 }, () => keptAlive(service.baseUrl));
    const first = await register(client);
    let { refresh_token: token } = first;
    for (let round = 0; round < 20; round += 1) {
      const answers = await Promise.all(
        connections.map((connection) =>
          connection.send('POST', '/api/auth/refresh', { body: { refresh_token: token } }),
        ),
      );
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
      const spent = token;
      token = (JSON.parse(answers[0]?.text ?? '') as { refresh_token: string }).refresh_token;
      // A straggler within the window gets what the others got.
      expect((await refresh(spent)).text).toBe(answers[0]?.text);
    }
    for (const connection of connections) connection.close();
    expect((await refresh(token)).status).toBe(200);
  });

  test.each([
    ['nothing', ''],
    ['garbage', 'abc'],
    ['the right length', 'A'.repeat(80)],
    ['far too long', 'A'.repeat(600)],
    ['an object', { $ne: '' }],
    ['null', null],
  ])('%s is no refresh token', async (_, token) => {
    const answer = await refresh(token);
    expect([401, 422]).toContain(answer.status);
    if (answer.status === 401) expect(answer.json.code).toBe('invalid_refresh_token');
  });

  test('an access token is not a refresh token, nor the reverse', async () => {
    const { access_token, refresh_token } = await register(client);
    expect((await refresh(access_token.slice(0, 512))).status).toBe(401);
    expect(await profileStatus(refresh_token)).toBe(401);
  });

  test('knowing the id of a session is not enough to end it', async () => {
    const { access_token, refresh_token } = await register(client);
    const forged = Buffer.concat([
      Buffer.from(sidOf(access_token), 'hex'),
      Buffer.alloc(48, 7),
    ]).toString('base64url');
    expect((await refresh(forged)).json.code).toBe('invalid_refresh_token');
    expect((await refresh(refresh_token)).status).toBe(200);
  });

  test('within the window every used token gets its own answer again, and the session goes on', async () => {
    const patient = await startTestService({ REFRESH_GRACE_SECONDS: '60' });
    try {
      const from = createClient(patient.baseUrl);
      const first = await register(from);
      const chain: { token: string; answer: string }[] = [];
      let { refresh_token: token } = first;
      for (let i = 0; i < 100; i += 1) {
        const answer = await refresh(token, from);
        expect(answer.status).toBe(200);
        chain.push({ token, answer: answer.text });
        token = answer.json.refresh_token;
      }
      for (const index of [0, 1, 50, 98, 99])
        expect((await refresh(chain[index]?.token, from)).text).toBe(chain[index]?.answer);
      // More than any client needs: it waits, and nothing is ended.
      const waits = await refresh(token, from);
      expect([waits.status, waits.json.code, Number(waits.headers.get('retry-after')) > 0]).toEqual(
        [429, 'too_many_refreshes', true],
      );
      expect(await profileStatus(first.access_token, from)).toBe(200);
      await patient.database.connection
        .collection('sessions')
        .updateMany({}, [{ $set: { used: [] } }]);
      expect((await refresh(token, from)).status).toBe(200);
    } finally {
      await patient.close();
    }
  });

  test('an Idempotency-Key does not change the window', async () => {
    const { refresh_token: token } = await register(client);
    const keyed = () =>
      client('POST', '/api/auth/refresh', {
        body: { refresh_token: token },
        headers: { 'idempotency-key': 'one-key-for-both' },
      });
    const first = await keyed();
    expect((await keyed()).text).toBe(first.text);
    // The window ends: now the key must not give the pair again, and the reuse is told.
    await rows().updateOne({ _id: sidOf(first.json.access_token) } as never, [
      {
        $set: {
          used: { $map: { input: '$used', in: { $mergeObjects: ['$$this', { until: '$$NOW' }] } } },
        },
      },
    ]);
    expect((await keyed()).json.code).toBe('refresh_token_reused');
    expect((await refresh(first.json.refresh_token)).status).toBe(401);
  });

  test('client data is stored literally', async () => {
    const { access_token, refresh_token: token } = await register(client);
    const odd = await client('POST', '/api/auth/refresh', {
      body: { refresh_token: token },
      headers: { 'user-agent': '$tokenHash' },
    });
    expect(odd.status).toBe(200);
    expect((await rows().findOne({ _id: sidOf(access_token) } as never))?.['userAgent']).toBe(
      '$tokenHash',
    );
  });

  test('ends after its idle and its absolute lifetime', async () => {
    const one = await register(client);
    const row = await rows().findOne({ _id: sidOf(one.access_token) } as never);
    expect(Number(row?.['absoluteUntil']) - Number(row?.['createdAt'])).toBe(7_776_000_000);
    await rows().updateOne({ _id: sidOf(one.access_token) } as never, {
      $set: { absoluteUntil: new Date(Date.now() + 60_000) },
    });
    const { refresh_token } = (await refresh(one.refresh_token)).json;
    const used = await rows().findOne({ _id: sidOf(one.access_token) } as never);
    expect(used?.['until']).toEqual(used?.['absoluteUntil']);
    await rows().updateOne({ _id: sidOf(one.access_token) } as never, {
      $set: { until: new Date(Date.now() - 1) },
    });
    expect((await refresh(refresh_token)).json.code).toBe('invalid_refresh_token');
  });
});

describe('reuse', () => {
  let strict: TestService;
  let from: Client;
  beforeAll(async () => {
    strict = await startTestService({ REFRESH_GRACE_SECONDS: '1' });
    from = createClient(strict.baseUrl);
  });
  afterAll(() => strict?.close());
  const windowEnds = () => new Promise((resolve) => setTimeout(resolve, 1100));

  test('after the grace window ends the session and is recorded as a security event', async () => {
    const { user, email, refresh_token: first, access_token } = await registerWithEmail(from);
    const { refresh_token: second, access_token: successor } = (await refresh(first, from)).json;
    expect((await refresh(first, from)).status).toBe(200);
    const reused = await eventually('the window to end', async () => {
      const answer = await refresh(first, from);
      return answer.status === 401 && answer;
    });
    expect(reused.json.code).toBe('refresh_token_reused');
    expect((await refresh(second, from)).json.code).toBe('invalid_refresh_token');
    expect(await profileStatus(access_token, from)).toBe(401);
    expect(await profileStatus(successor, from)).toBe(401);
    await eventually('the event', () =>
      strict.database.connection
        .collection('audit_events')
        .findOne({ type: 'refresh_token_reused', subject: user.id })
        .then(Boolean),
    );
    await signIn(email, {}, PASSWORD, from);
  });

  test('of a token from many rotations ago is distinguished from a guess', async () => {
    const { refresh_token: first } = await register(from);
    let token = first;
    for (let i = 0; i < 8; i += 1) token = (await refresh(token, from)).json.refresh_token;
    await windowEnds();
    token = (await refresh(token, from)).json.refresh_token;
    expect((await refresh(first, from)).json.code).toBe('refresh_token_reused');
    expect((await refresh(token, from)).status).toBe(401);
  });

  test('ends only its own session', async () => {
    const { email } = await registerWithEmail(from);
    const [one, two] = [
      await signIn(email, {}, PASSWORD, from),
      await signIn(email, {}, PASSWORD, from),
    ];
    let token = one.refresh_token;
    for (let i = 0; i < 8; i += 1) token = (await refresh(token, from)).json.refresh_token;
    await windowEnds();
    expect((await refresh(one.refresh_token, from)).json.code).toBe('refresh_token_reused');
    expect(await profileStatus(two.access_token, from)).toBe(200);
    expect((await refresh(two.refresh_token, from)).status).toBe(200);
  });
});

async function registerWithEmail(from: Client = client) {
  const email = uniqueEmail();
  return { email, ...(await register(from, { email })) };
}

describe('the stored data', () => {
  test('has no token, and nothing to derive one from', async () => {
    const { refresh_token: first, access_token } = await register(client);
    const second = (await refresh(first)).json;
    const { db } = service.database.connection;
    const names = (await db?.listCollections().toArray())?.map(({ name }) => name) ?? [];
    expect(names).toContain('sessions');
    let stored = '';
    for (const name of names) stored += JSON.stringify(await db?.collection(name).find().toArray());
    for (const token of [first, access_token, second.refresh_token, second.access_token]) {
      const secret = Buffer.from(token.slice(-43), 'base64url');
      for (const form of [
        token,
        token.slice(-43),
        secret.toString('base64'),
        secret.toString('hex'),
      ])
        expect(stored).not.toContain(form);
    }
  });
});

describe('ending sessions', () => {
  async function three() {
    const { email, ...first } = await registerWithEmail();
    return {
      email,
      user: first.user,
      sessions: [
        first,
        await signIn(email, { 'user-agent': 'second/2' }),
        await signIn(email, { 'user-agent': 'third/3' }),
      ] as const,
    };
  }
  const standing = (sessions: readonly { access_token: string }[]) =>
    Promise.all(sessions.map(({ access_token }) => profileStatus(access_token)));
  const refreshable = (sessions: readonly { refresh_token: string }[]) =>
    Promise.all(sessions.map(async ({ refresh_token }) => (await refresh(refresh_token)).status));

  test('local: this session, with its refresh token', async () => {
    const { sessions } = await three();
    expect(
      (await client('POST', '/api/auth/logout', { token: sessions[0].access_token })).status,
    ).toBe(204);
    expect(await standing(sessions)).toEqual([401, 200, 200]);
    expect(await refreshable(sessions)).toEqual([401, 200, 200]);
  });

  test('others: all except this session', async () => {
    const { sessions } = await three();
    expect(
      (await client('POST', '/api/auth/logout?scope=others', { token: sessions[1].access_token }))
        .status,
    ).toBe(204);
    expect(await standing(sessions)).toEqual([401, 200, 401]);
    expect(await refreshable([sessions[0], sessions[2]])).toEqual([401, 401]);
    const next = (await refresh(sessions[1].refresh_token)).json;
    expect(await profileStatus(next.access_token)).toBe(200);
    expect(
      (await client('POST', '/api/auth/logout?scope=others', { token: next.access_token })).status,
    ).toBe(204);
    expect(await profileStatus(next.access_token)).toBe(200);
  });

  test('global: all sessions', async () => {
    const { sessions, email } = await three();
    expect(
      (await client('POST', '/api/auth/logout?scope=global', { token: sessions[2].access_token }))
        .status,
    ).toBe(204);
    expect(await standing(sessions)).toEqual([401, 401, 401]);
    expect(await refreshable(sessions)).toEqual([401, 401, 401]);
    const again = await signIn(email);
    expect(await profileStatus(again.access_token)).toBe(200);
  });

  test('an unknown scope gets 400', async () => {
    const { access_token: token } = await register(client);
    expect((await client('POST', '/api/auth/logout?scope=all', { token })).status).toBe(400);
    expect(await profileStatus(token)).toBe(200);
  });

  test('one by its id, idempotently', async () => {
    const { sessions, email } = await three();
    const list = await client('GET', '/api/auth/sessions', { token: sessions[0].access_token });
    expect(list.status).toBe(200);
    expect(
      list.json.data.map((one: { current: boolean; user_agent: string }) => [
        one.current,
        one.user_agent,
      ]),
    ).toEqual(
      expect.arrayContaining([
        [true, expect.any(String)],
        [false, 'second/2'],
        [false, 'third/3'],
      ]),
    );
    expect(list.json.data[0]).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{24}$/),
      current: expect.any(Boolean),
      created_at: expect.stringMatching(/Z$/),
      last_used_at: expect.stringMatching(/Z$/),
      expires_at: expect.stringMatching(/Z$/),
      user_agent: expect.any(String),
      refresh_token_mode: 'json',
      dpop_bound: false,
      ip_prefix: '127.0.0.0/24',
    });
    const second = list.json.data.find(
      (one: { user_agent: string }) => one.user_agent === 'second/2',
    ).id;
    for (let i = 0; i < 2; i += 1)
      expect(
        (
          await client('DELETE', `/api/auth/sessions/${second}`, {
            token: sessions[0].access_token,
          })
        ).status,
      ).toBe(204);
    expect(await standing(sessions)).toEqual([200, 401, 200]);
    expect(
      (await client('GET', '/api/auth/sessions', { token: sessions[0].access_token })).json.data,
    ).toHaveLength(2);
    await signIn(email);
  });

  test('a session of another user is neither ended nor listed', async () => {
    const [mine, theirs] = [await register(client), await register(client)];
    expect(
      (
        await client('DELETE', `/api/auth/sessions/${sidOf(theirs.access_token)}`, {
          token: mine.access_token,
        })
      ).status,
    ).toBe(204);
    expect(await profileStatus(theirs.access_token)).toBe(200);
    expect((await refresh(theirs.refresh_token)).status).toBe(200);
    const list = await client('GET', '/api/auth/sessions', { token: mine.access_token });
    expect(list.json.data.map(({ id }: { id: string }) => id)).toEqual([sidOf(mine.access_token)]);
    expect(
      (await client('DELETE', '/api/auth/sessions/me', { token: mine.access_token })).status,
    ).toBe(400);
  });

  test('past the maximum of sessions the least recently used one ends', async () => {
    const { email, ...first } = await registerWithEmail();
    const more = [await signIn(email), await signIn(email), await signIn(email)];
    expect(await standing([first, ...more])).toEqual([200, 200, 200, 200]);
    const { access_token: renewed } = (await refresh(first.refresh_token)).json;
    await signIn(email);
    expect(await profileStatus(renewed)).toBe(200);
    expect(await standing(more)).toEqual([401, 200, 200]);
    expect(await rows().countDocuments({ userId: first.user.id })).toBe(4);
  });

  test('a change of password ends the other sessions', async () => {
    const { sessions } = await three();
    const body = { current_password: PASSWORD, new_password: 'another long password' };
    const changed = await client('PATCH', '/api/auth/password', {
      token: sessions[0].access_token,
      body,
    });
    expect(changed.status).toBe(200);
    expect(await standing(sessions)).toEqual([200, 401, 401]);
    // Its refresh token from before is worth nothing either: it goes on with the pair of the
    // answer.
    expect(await refreshable(sessions)).toEqual([401, 401, 401]);
    expect(await refreshable([changed.json])).toEqual([200]);
  });

  test.each([
    [
      'a change of role',
      (id: string, token: string) =>
        client('PATCH', `/api/users/${id}`, {
          token,
          body: { role: 'admin' },
          headers: { 'content-type': 'application/merge-patch+json' },
        }),
    ],
    ['deletion', (id: string, token: string) => client('DELETE', `/api/users/${id}`, { token })],
  ])('%s ends all', async (_, change) => {
    const { sessions, user } = await three();
    expect((await change(user.id, await adminToken())).status).toBeLessThan(300);
    expect(await standing(sessions)).toEqual([401, 401, 401]);
    expect(await refreshable(sessions)).toEqual([401, 401, 401]);
  });

  test('removing an account removes its sessions and revokes its tokens', async () => {
    const { user, access_token: token } = await register(client);
    expect((await client('DELETE', '/api/users/me', { token })).status).toBe(204);
    for (const name of ['sessions', 'known_devices', 'one_time_tokens']) {
      const left = () =>
        service.database.connection.collection(name).countDocuments({ userId: user.id });
      await eventually(`${name} to be empty`, async () => (await left()) === 0);
    }
    const { connection } = service.database;
    const removals = connection.collection<{ _id: string; pseudonym: string }>('user_removals');
    const pseudonym = (await removals.findOne({ _id: user.id }))?.pseudonym;
    expect(pseudonym).toMatch(/^removed:/);
    // Until the purge has come by, the event names the account itself.
    await eventually('the event', () =>
      connection
        .collection('audit_events')
        .findOne({ type: 'account_removed', subject: { $in: [user.id, pseudonym] } })
        .then(Boolean),
    );
  });

  test('the next refresh completes an end that was interrupted after its first write', async () => {
    const { access_token, refresh_token } = await register(client);
    await rows().updateOne({ _id: sidOf(access_token) } as never, {
      $set: { endedAt: new Date() },
    });
    expect(await profileStatus(access_token)).toBe(200);
    expect((await refresh(refresh_token)).status).toBe(401);
    expect(await profileStatus(access_token)).toBe(401);
    expect(await rows().countDocuments({ _id: sidOf(access_token) } as never)).toBe(0);
  });

  test('more revocations than a user document holds end all sessions', async () => {
    const { email, ...first } = await registerWithEmail();
    const users = service.database.connection.collection('users');
    const until = new Date(Date.now() + 900_000);
    await users.updateOne(
      { emailKey: email },
      {
        $set: {
          revokedSessions: Array.from({ length: 100 }, (_, i) => ({
            sid: String(i).padStart(24, '0'),
            until,
          })),
        },
      },
    );
    const second = await signIn(email);
    await eventually(
      'the cache to see the list',
      async () => (await profileStatus(second.access_token)) === 200,
    );
    expect(
      (
        await client('DELETE', `/api/auth/sessions/${sidOf(second.access_token)}`, {
          token: first.access_token,
        })
      ).status,
    ).toBe(204);
    expect(await standing([first, second])).toEqual([401, 401]);
    expect((await users.findOne({ emailKey: email }))?.['revokedSessions']).toEqual([]);
  });
});

describe('a revocation lasts as long as every token that it revokes', () => {
  const revokedUntil = async (email: string, sid: string) => {
    const user = await service.database.connection.collection('users').findOne({ emailKey: email });
    const revoked = user?.['revokedSessions'] as { sid: string; until: Date }[] | undefined;
    return Number(revoked?.find((one) => one.sid === sid)?.until);
  };
  const expiryOf = (token: string) =>
    (
      JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as {
        exp: number;
      }
    ).exp * 1000;

  test('also for tokens issued under a higher ACCESS_TOKEN_TTL_SECONDS', async () => {
    const { email, access_token: first, refresh_token } = await registerWithEmail();
    const sid = sidOf(first);
    // As a service with a life of a day would have left it.
    const dayLater = new Date(Date.now() + 86_400_000);
    await rows().updateOne({ _id: sid } as never, { $set: { accessUntil: dayLater } });
    const { access_token: second } = (await refresh(refresh_token)).json;
    expect((await client('POST', '/api/auth/logout', { token: second })).status).toBe(204);
    expect(await revokedUntil(email, sid)).toBeGreaterThan(dayLater.getTime());
  });

  test('no longer than that plus the greatest leeway', async () => {
    const { email, access_token } = await registerWithEmail();
    expect((await client('POST', '/api/auth/logout', { token: access_token })).status).toBe(204);
    const overhang = (await revokedUntil(email, sidOf(access_token))) - expiryOf(access_token);
    expect(overhang).toBeGreaterThanOrEqual(60_000);
    expect(overhang).toBeLessThan(63_000);
  });

  test('for sessions without a stored token expiry, as long as the settings allow', async () => {
    const { email, access_token } = await registerWithEmail();
    await rows().updateOne({ _id: sidOf(access_token) } as never, { $unset: { accessUntil: 1 } });
    expect((await client('POST', '/api/auth/logout', { token: access_token })).status).toBe(204);
    expect(await revokedUntil(email, sidOf(access_token))).toBeGreaterThan(Date.now() + 86_400_000);
  });
});

describe('concurrent changes', () => {
  const repository = () =>
    createUserRepository(createUserModel(service.database.connection), { timeoutMs: 2000 });
  const until = new Date(Date.now() + 900_000);

  test('a session that was ended meanwhile is not kept', async () => {
    const [single, all] = [await register(client), await register(client)];
    await repository().revokeSessions(anyTime(), {
      now: new Date(),
      id: single.user.id,
      sids: [sidOf(single.access_token)],
      until,
    });
    await repository().endSessions(await lookAt(repository(), all.user.id), anyTime(), {
      now: new Date(),
    });
    for (const { user, access_token } of [single, all]) {
      const keep = { sid: sidOf(access_token), ver: 1 };
      const seen = await lookAt(repository(), user.id);
      expect(await repository().endSessions(seen, anyTime(), { keep, now: new Date() })).toBe(
        false,
      );
      const options = { now: new Date(), endSessions: { keep } };
      const changed = await repository().update(seen, anyTime(), { passwordHash: 'x' }, options);
      expect(changed).toBeNull();
      await eventually(
        'the end to be seen',
        async () => (await profileStatus(access_token)) === 401,
      );
    }
    await signIn(single.user.email);
  });

  test('a change with a password that was replaced meanwhile is refused', async () => {
    const { user, access_token } = await register(client);
    const keep = { sid: sidOf(access_token), ver: 1 };
    const before = await repository().credentialsById(user.id);
    const options = { now: new Date(), endSessions: { keep } };
    const seen = await lookAt(repository(), user.id);
    const change = (of: Snapshot) =>
      repository().update(of, anyTime(), { passwordHash: 'x' }, options);
    expect(await change({ ...seen, passwordHash: 'another hash' })).toBeNull();
    expect(await repository().credentialsById(user.id)).toEqual(before);
    expect(await change(seen)).not.toBeNull();
  });

  test('a login with the old password during a reset opens no valid session', async () => {
    const slow = await startTestService({ BCRYPT_COST: '12' });
    try {
      const from = createClient(slow.baseUrl);
      const email = uniqueEmail('race');
      await register(from, { email });
      const { connection } = slow.database;
      const users = connection.collection('users');
      const hashesDone = async () =>
        (await slow.metrics.getSingleMetricAsString('auth_hash_wait_seconds')).match(
          /_count (\d+)/,
        )?.[1];
      const before = await hashesDone();
      const pending = from('POST', '/api/auth/login', { body: { email, password: PASSWORD } });
      await eventually('the hash to be under way', async () => (await hashesDone()) !== before);
      await users.updateOne(
        { emailKey: email },
        { $set: { passwordHash: 'replaced' }, $inc: { sessionVersion: 1 } },
      );
      const answer = await pending;
      expect(answer.status).toBe(200);
      await eventually(
        'its token to be refused',
        async () => (await profileStatus(answer.json.access_token, from)) === 401,
      );
      expect((await refresh(answer.json.refresh_token, from)).status).toBe(401);
    } finally {
      await slow.close();
    }
  });
});
