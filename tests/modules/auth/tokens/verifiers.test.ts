import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { auth as verifyBearer } from 'express-oauth2-jwt-bearer';
import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, login, register } from '../../../support/http';

const ISSUER = 'http://auth.example.test';
const SECRET = 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ';

let oauth: typeof import('oauth4webapi');
let jose: typeof import('jose');
beforeAll(async () => {
  [oauth, jose] = await Promise.all([import('oauth4webapi'), import('jose')]);
});

const settingsOf = (alg: string) => ({
  ...(alg === 'HS256'
    ? { JWT_SECRET: SECRET }
    : { JWT_SECRET: '', KEY_ENCRYPTION_SECRET: 'Q7pZ2mX9'.repeat(5), SIGNING_ALGORITHM: alg }),
  PUBLIC_URL: ISSUER,
  TOKEN_CLIENT_ID: 'shop-web',
});

/** What other people's resource servers ask of a token, in their strictest mode. */
describe.each(['ES256', 'EdDSA', 'RS256', 'HS256'])(
  'stock verifiers, tokens signed with %s',
  (alg) => {
    let service: TestService;
    let client: Client;
    let user: { id: string };
    let account: { id: string; client_secret: string };
    const tokens: Record<string, string> = {};

    beforeAll(async () => {
      service = await startTestService(settingsOf(alg));
      client = createClient(service.baseUrl);
      const registered = await register(client);
      const admin = await login(client, service.admin.email, service.admin.password);
      user = registered.user;
      account = (
        await client('POST', '/api/service-accounts', {
          token: admin,
          body: { name: 'Report', scopes: ['users:read', 'tokens:introspect'] },
        })
      ).json;
      const refreshed = await client('POST', '/api/auth/refresh', {
        body: { refresh_token: registered.refresh_token },
      });
      const fields = `grant_type=client_credentials&client_id=${account.id}&client_secret=${account.client_secret}`;
      const granted = await client('POST', '/api/auth/token', {
        raw: fields,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      });
      Object.assign(tokens, {
        login: registered.access_token,
        refresh: refreshed.json.access_token,
        admin,
        service: granted.json.access_token,
      });
    });
    afterAll(() => service?.close());

    /** The library calls the public address; the service listens elsewhere. */
    const reach = () => ({
      [oauth.allowInsecureRequests]: true,
      [oauth.customFetch]: (url: string, init: RequestInit) =>
        fetch(url.replace(ISSUER, service.baseUrl), init),
    });
    const metadata = async () => {
      const response = await oauth.discoveryRequest(new URL(ISSUER), {
        algorithm: 'oauth2',
        ...(reach() as object),
      });
      return oauth.processDiscoveryResponse(new URL(ISSUER), response);
    };

    test.each(['login', 'refresh', 'admin', 'service'])(
      'express-oauth2-jwt-bearer, strict: the token of a %s',
      async (kind) => {
        const keys =
          alg === 'HS256'
            ? { secret: SECRET }
            : { jwksUri: `${service.baseUrl}/.well-known/jwks.json` };
        const app = express();
        app.use(
          verifyBearer({
            issuer: ISSUER,
            audience: 'api',
            strict: true,
            tokenSigningAlg: alg,
            ...keys,
          }),
        );
        app.get('/', (req, res) => {
          res.json(req.auth?.payload);
        });
        const server = createServer(app);
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        try {
          const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
          const answer = await fetch(url, { headers: { authorization: `Bearer ${tokens[kind]}` } });
          expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([200, null]);
          expect(await answer.json()).toMatchObject({
            client_id: kind === 'service' ? account.id : 'shop-web',
          });
        } finally {
          server.closeAllConnections();
          await new Promise((resolve) => server.close(resolve));
        }
      },
    );

    test.each(['login', 'refresh', 'admin', 'service'])(
      'oauth4webapi and jose: the token of a %s',
      async (kind) => {
        const token = String(tokens[kind]);
        const check = {
          issuer: ISSUER,
          audience: 'api',
          typ: 'at+jwt',
          requiredClaims: ['sub', 'client_id', 'iat', 'exp', 'jti'],
        };
        if (alg === 'HS256') {
          await jose.jwtVerify(token, new TextEncoder().encode(SECRET), check);
          return;
        }
        const request = new Request('https://files.example.test/', {
          headers: { authorization: `Bearer ${token}` },
        });
        const claims = await oauth.validateJwtAccessToken(
          await metadata(),
          request,
          'api',
          reach() as object,
        );
        expect(claims.sub).toBe(
          { login: user.id, refresh: user.id, service: account.id }[kind] ?? claims.sub,
        );
        await jose.jwtVerify(
          token,
          jose.createRemoteJWKSet(new URL(`${service.baseUrl}/.well-known/jwks.json`)),
          check,
        );
      },
    );

    test('tokens of users and of service accounts have only their own claims', async () => {
      const ofUser = jose.decodeJwt(String(tokens['refresh']));
      expect(ofUser).toMatchObject({
        client_id: 'shop-web',
        sid: expect.any(String),
        role: 'user',
        amr: ['pwd'],
        acr: 'aal1',
        auth_time: expect.any(Number),
      });
      expect(ofUser).not.toHaveProperty('scope');
      // A refresh is no login.
      expect(ofUser['auth_time']).toBe(jose.decodeJwt(String(tokens['login']))['auth_time']);
      const ofService = jose.decodeJwt(String(tokens['service']));
      expect(ofService).toMatchObject({
        sub: account.id,
        client_id: account.id,
        scope: 'users:read tokens:introspect',
      });
      for (const claim of ['role', 'sid', 'auth_time', 'acr', 'amr'])
        expect(ofService).not.toHaveProperty(claim);
    });

    test('a strict client accepts the introspection answer, which names the client', async () => {
      const server = await metadata();
      const app = { client_id: account.id };
      for (const [kind, clientId] of [
        ['login', 'shop-web'],
        ['service', account.id],
      ] as const) {
        const authentication = oauth.ClientSecretBasic(account.client_secret);
        const response = await oauth.introspectionRequest(
          server,
          app,
          authentication,
          String(tokens[kind]),
          reach() as object,
        );
        const answer = await oauth.processIntrospectionResponse(server, app, response);
        expect(answer).toMatchObject({
          active: true,
          client_id: clientId,
          token_type: 'Bearer',
          iss: ISSUER,
          aud: 'api',
        });
        const { sub, jti, exp, iat } = jose.decodeJwt(String(tokens[kind]));
        expect(answer).toMatchObject({ sub, jti, exp, iat } as object);
        expect(answer['acr']).toBe(kind === 'login' ? 'aal1' : undefined);
      }
    });
  },
);

describe('claims of any shape in a validly signed token', () => {
  const SHAPES = [
    'admin',
    '',
    ' ',
    '__proto__',
    '0'.repeat(24),
    'x'.repeat(500),
    '\u0000',
    '\ud800',
    0,
    -1,
    1.5,
    1e300,
    8.64e12,
    2 ** 53,
    true,
    null,
    [],
    {},
    ['admin'],
    { $gt: '' },
  ];
  const CLAIMS = [
    'iss',
    'aud',
    'sub',
    'sid',
    'ver',
    'role',
    'jti',
    'iat',
    'exp',
    'nbf',
    'client_id',
    'auth_time',
    'acr',
    'amr',
    'scope',
  ];
  let service: TestService;
  beforeAll(async () => {
    service = await startTestService(settingsOf('HS256'));
  });
  afterAll(() => service?.close());

  test.each(CLAIMS)('%s: 401 or accepted with its own value, never a 5xx', async (claim) => {
    const client = createClient(service.baseUrl, { unchecked: true });
    const admin = await login(client, service.admin.email, service.admin.password);
    const body = { name: 'Probe', scopes: ['users:read', 'tokens:introspect'] };
    const account = (await client('POST', '/api/service-accounts', { token: admin, body }))
      .json as { id: string; client_secret: string };
    const form = (path: string, fields: string) =>
      client('POST', path, {
        raw: `${fields}&client_id=${account.id}&client_secret=${account.client_secret}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      });
    const own = (await form('/api/auth/token', 'grant_type=client_credentials')).json
      .access_token as string;
    const { access_token } = await register(client);
    const sign = (genuine: string, value: unknown) => {
      const claims = { ...jose.decodeJwt(genuine), [claim]: value };
      const header = jose.decodeProtectedHeader(genuine);
      return new jose.CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
        .setProtectedHeader(header as never)
        .sign(new TextEncoder().encode(SECRET));
    };
    for (const genuine of [access_token, own]) {
      for (const shape of SHAPES) {
        const token = await sign(genuine, shape);
        const answers = [
          await client('GET', '/api/users/me', { token }),
          await client('GET', '/api/users?limit=1', { token }),
          await form('/api/auth/introspect', `token=${token}`),
          await form('/api/auth/revoke', `token=${token}`),
        ];
        const statuses = answers.map(({ status }) => status);
        expect([claim, shape, Math.max(...statuses) < 500]).toEqual([claim, shape, true]);
        // What names an account, its session or its right is never taken when it is another one's
        // or no name at all.
        if (claim === 'sub' || claim === 'iss' || claim === 'aud')
          expect(statuses.slice(0, 2)).toEqual([401, 401]);
      }
    }
  });
});
