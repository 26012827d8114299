import { startTestService, type TestService } from '../../../support/app';
import { type Answer, type Client, createClient, eventually } from '../../../support/http';
import {
  ACCESS_TOKEN_TYPE,
  exchange,
  exchangeOf,
  formOf,
  impersonate,
  type Person,
  personOf,
  TOKEN_EXCHANGE,
} from '../../../support/impersonation';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

const ISSUER = 'http://auth.example.test';
const settings = {
  JWT_SECRET: '',
  KEY_ENCRYPTION_SECRET: 'Q7pZ2mX9'.repeat(5),
  PUBLIC_URL: ISSUER,
  IMPERSONATION_TTL_SECONDS: '120',
  ROLES: 'agent=users:impersonate+users:read,auditor=audit:read',
};
let mongo: TestMongo;
let service: TestService;
let client: Client;
let oauth: typeof import('oauth4webapi');
let jose: typeof import('jose');
let admin: Person;
let user: Person;

beforeAll(async () => {
  [oauth, jose] = await Promise.all([import('oauth4webapi'), import('jose')]);
  mongo = await startTestMongo();
  service = await startTestService(settings, mongo);
  client = createClient(service.baseUrl);
  [admin, user] = await Promise.all([of('admin'), of('user')]);
});
afterAll(async () => {
  await service?.close();
  await mongo?.close();
});

const of = (role: string) => personOf(service, client, role);
const users = () => service.database.connection.collection('users');
const refusal = ({ status, json }: Answer) => [status, json?.error];
const events = async (subject: string, result: 'success' | 'failure') => {
  const path = `/api/audit-events?subject=${subject}&type=impersonation_started`;
  const { json } = await client('GET', path, { token: admin.token });
  const found = (json.data as { result: string; reason: string }[]).filter(
    (one) => one.result === result,
  );
  return found.length > 0 ? found : undefined;
};

describe('the token', () => {
  test('is an RFC 9068 access token of the user that names the administrator', async () => {
    const answer = await exchange(client, user.id, admin.token);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const { access_token, ...rest } = answer.json;
    // No refresh token.
    expect(rest).toEqual({
      issued_token_type: ACCESS_TOKEN_TYPE,
      token_type: 'Bearer',
      expires_in: 120,
    });
    const keys = jose.createRemoteJWKSet(new URL(`${service.baseUrl}/.well-known/jwks.json`));
    const { payload } = await jose.jwtVerify(access_token, keys, {
      issuer: ISSUER,
      audience: 'api',
      typ: 'at+jwt',
      requiredClaims: ['sub', 'client_id', 'iat', 'exp', 'jti', 'act'],
    });
    const { sid, ver } = jose.decodeJwt(admin.token);
    expect(payload).toMatchObject({ sub: user.id, role: 'user', act: { sub: admin.id, sid, ver } });
    expect(Number(payload.exp) - Number(payload.iat)).toBe(120);
    // The user did not sign in, and has no session of it.
    expect(payload).not.toHaveProperty('auth_time');
    expect(payload).not.toHaveProperty('amr');
    const { json } = await client('GET', '/api/auth/sessions', { token: access_token });
    expect(json.data).toHaveLength(1);
    expect(json.data[0]).toMatchObject({ current: false });
  });

  test('acts as the user', async () => {
    const token = await impersonate(client, user, admin);
    expect((await client('GET', '/api/auth/profile', { token })).json.id).toBe(user.id);
    expect((await client('GET', '/api/users', { token })).status).toBe(403);
    const body = { name: 'Corrected by support' };
    expect((await client('PATCH', '/api/users/me', { token, body })).json.name).toBe(body.name);
  });

  test('does not outlive the token of the administrator', async () => {
    const short = await startTestService(
      { ...settings, ACCESS_TOKEN_TTL_SECONDS: '60', IMPERSONATION_TTL_SECONDS: '900' },
      mongo,
    );
    try {
      const actor = await personOf(short, createClient(short.baseUrl), 'admin');
      const { iat, exp } = jose.decodeJwt(actor.token);
      // Issued later, it would otherwise expire later.
      await eventually('a later second', () => Date.now() >= (Number(iat) + 2) * 1000);
      const token = await impersonate(createClient(short.baseUrl), user, actor);
      expect(jose.decodeJwt(token).exp).toBe(exp);
    } finally {
      await short.close();
    }
  });

  test('is issued to a stock client, introspected with its actor, and listed in the metadata', async () => {
    const options = {
      [oauth.allowInsecureRequests]: true,
      [oauth.customFetch]: (url: string, init: RequestInit) =>
        fetch(url.replace(ISSUER, service.baseUrl), init),
    } as object;
    const issuer = new URL(ISSUER);
    const metadata = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options }),
    );
    expect(metadata.grant_types_supported).toContain(TOKEN_EXCHANGE);
    const { grant_type, ...parameters } = exchangeOf(user.id, admin.token, { audience: 'api' });
    const app = { client_id: 'admin-console' };
    const response = await oauth.genericTokenEndpointRequest(
      metadata,
      app,
      oauth.None(),
      String(grant_type),
      parameters,
      options,
    );
    const granted = await oauth.processGenericTokenEndpointResponse(metadata, app, response);
    expect(granted).toMatchObject({ token_type: 'bearer', issued_token_type: ACCESS_TOKEN_TYPE });

    const { json: account } = await client('POST', '/api/service-accounts', {
      token: admin.token,
      body: { name: 'Gateway', scopes: ['tokens:introspect'] },
    });
    const gateway = { client_id: account.id };
    const introspected = await oauth.processIntrospectionResponse(
      metadata,
      gateway,
      await oauth.introspectionRequest(
        metadata,
        gateway,
        oauth.ClientSecretBasic(account.client_secret),
        granted.access_token,
        options,
      ),
    );
    expect(introspected).toMatchObject({ active: true, sub: user.id, act: { sub: admin.id } });
  });

  test('is on record of both, with its jti and the reason', async () => {
    const target = await of('user');
    const answer = await exchange(client, target.id, admin.token, {
      reason: 'Ticket 4711: invoice',
    });
    const { jti, sid } = jose.decodeJwt(answer.json.access_token);
    const expected = expect.objectContaining({
      ...{ actor: admin.id, impersonated: target.id, reason: 'Ticket 4711: invoice' },
      ...{ token_id: jti, session: sid },
    });
    expect(await eventually('the event', () => events(target.id, 'success'))).toEqual([expected]);
    expect(await events(admin.id, 'success')).toContainEqual(expected);
  });
});

describe('refusals', () => {
  test('subjects: one answer for all of them, on record with the cause', async () => {
    const [agent, support, banned, other] = (await Promise.all(
      ['agent', 'support', 'user', 'admin'].map(of) as Promise<Person>[],
    )) as [Person, Person, Person, Person];
    const auditor = await of('auditor');
    await users().updateOne({ emailKey: banned.email }, { $set: { status: 'banned' } });
    const nobody = '0'.repeat(24);
    const cases: [Person, string, string][] = [
      [admin, admin.id, 'oneself'],
      [agent, agent.id, 'oneself'],
      [admin, other.id, 'exceeds_permissions'],
      [agent, admin.id, 'exceeds_permissions'],
      [agent, support.id, 'exceeds_permissions'],
      [agent, auditor.id, 'exceeds_permissions'],
      [admin, banned.id, 'banned'],
      [admin, nobody, 'no_such_user'],
    ];
    const bodies = new Set<string>();
    for (const [actor, subject, reason] of cases) {
      const answer = await exchange(client, subject, actor.token);
      expect([subject, ...refusal(answer)]).toEqual([subject, 400, 'invalid_request']);
      bodies.add(answer.text);
      const recorded = await eventually(
        `the event of ${reason}`,
        async () => (await events(subject, 'failure'))?.filter((one) => one.reason === reason)[0],
      );
      expect(recorded).toMatchObject({ actor: actor.id, reason });
    }
    for (const id of ['me', 'x', `${nobody}0`])
      bodies.add((await exchange(client, id, admin.token)).text);
    expect(bodies.size).toBe(1);
    // What the same actors may do.
    expect((await exchange(client, user.id, agent.token)).status).toBe(200);
    expect((await exchange(client, auditor.id, admin.token)).status).toBe(200);
  });

  test('actors: without the permission, with an old login, ended, or acting as somebody else', async () => {
    const support = await of('support');
    const answer = await exchange(client, user.id, support.token);
    expect([...refusal(answer), answer.json.error_description]).toEqual([
      400,
      'invalid_request',
      'The actor needs the permission users:impersonate.',
    ]);

    const old = await of('admin');
    await service.database.connection
      .collection('sessions')
      .updateMany({ userId: old.id }, { $set: { createdAt: new Date(Date.now() - 601_000) } });
    expect((await exchange(client, user.id, old.token)).json.error_description).toMatch(
      /must have signed in recently/,
    );

    const ended = await of('admin');
    await client('POST', '/api/auth/logout', { token: ended.token });
    // The user that is acted as may impersonate: the token still may not.
    const agent = await of('agent');
    const chained = await impersonate(client, agent, admin);
    const { refresh_token } = (
      await client('POST', '/api/auth/login', {
        body: { email: admin.email, password: 'correct horse battery' },
      })
    ).json;
    for (const token of [ended.token, chained, refresh_token, 'nonsense', 'a.b.c'])
      expect((await exchange(client, user.id, token)).json).toEqual({
        error: 'invalid_request',
        error_description: 'The actor_token is not valid.',
      });
  });

  test('service accounts: users:impersonate is no scope, and their tokens are no actors', async () => {
    const create = (scopes: string[]) =>
      client('POST', '/api/service-accounts', {
        token: admin.token,
        body: { name: 'Machine', scopes },
      });
    expect((await create(['users:impersonate'])).status).toBe(422);
    const { json } = await create(['users:read', 'users:write']);
    const granted = await client(
      'POST',
      '/api/auth/token',
      formOf({
        grant_type: 'client_credentials',
        client_id: json.id,
        client_secret: json.client_secret,
      }),
    );
    expect((await exchange(client, user.id, granted.json.access_token)).json).toMatchObject({
      error: 'invalid_request',
      error_description: 'The actor_token is not valid.',
    });
    // A secret that is sent must be right.
    const wrong = { client_id: json.id, client_secret: 'wrong' };
    expect(refusal(await exchange(client, user.id, admin.token, wrong))).toEqual([
      401,
      'invalid_client',
    ]);
  });

  test.each([
    ['no subject', { subject_token: '' }, 'invalid_request'],
    ['no type of the subject', { subject_token_type: '' }, 'invalid_request'],
    ['a token as the subject', { subject_token_type: ACCESS_TOKEN_TYPE }, 'invalid_request'],
    ['no actor', { actor_token: '' }, 'invalid_request'],
    ['no type of the actor', { actor_token_type: '' }, 'invalid_request'],
    ['another type of the actor', { actor_token_type: 'urn:x:id_token' }, 'invalid_request'],
    ['another type to get', { requested_token_type: 'urn:x:refresh' }, 'invalid_request'],
    ['a scope', { scope: 'users:read' }, 'invalid_scope'],
    ['another audience', { audience: 'billing' }, 'invalid_target'],
    ['a resource', { resource: 'https://billing.example.org' }, 'invalid_target'],
    ['a reason of two lines', { reason: 'one\ntwo' }, 'invalid_request'],
    ['a long reason', { reason: 'x'.repeat(201) }, 'invalid_request'],
  ])('%s', async (_, more, error) => {
    expect(refusal(await exchange(client, user.id, admin.token, more))).toEqual([400, error]);
  });

  test('repeated targets: each must be this service; other parameters are not repeated', async () => {
    const fields = Object.entries(exchangeOf(user.id, admin.token));
    const send = (...more: string[][]) =>
      client('POST', '/api/auth/token', formOf([...fields, ...more]));
    expect((await send(['audience', 'api'], ['resource', 'api'])).status).toBe(200);
    expect(refusal(await send(['audience', 'api'], ['audience', 'billing']))).toEqual([
      400,
      'invalid_target',
    ]);
    expect(refusal(await send(['subject_token', user.id]))).toEqual([400, 'invalid_request']);
  });
});
