import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { fastify } from 'fastify';
import {
  createVerifier,
  expressVerifier,
  fastifyVerifier,
  type Verifier,
} from '../../../packages/verifier/src';
import { startTestService, type TestService } from '../../support/app';
import { type Client, createClient, register } from '../../support/http';
import { impersonate, personOf } from '../../support/impersonation';

const ISSUER = 'http://auth.example.test';
let service: TestService;
let client: Client;
let token: string;
const verifiers: Verifier[] = [];

/** The verifier calls the public address; the service listens elsewhere. */
const toService: typeof fetch = (url, init) =>
  fetch(String(url).replace(ISSUER, service.baseUrl), init);
function verifier(options: Partial<Parameters<typeof createVerifier>[0]> = {}) {
  const made = createVerifier({
    ...{ issuer: ISSUER, audience: 'api', fetch: toService, allowHttp: true },
    ...options,
  });
  verifiers.push(made);
  return made;
}

beforeAll(async () => {
  service = await startTestService({
    JWT_SECRET: '',
    KEY_ENCRYPTION_SECRET: 'Q7pZ2mX9'.repeat(5),
    PUBLIC_URL: ISSUER,
  });
  client = createClient(service.baseUrl);
  token = (await register(client)).access_token;
});
afterAll(async () => {
  for (const one of verifiers) one.close();
  await service?.close();
});

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'accepted',
    (error: { code?: string }) => error.code,
  );
const changed = (part: 0 | 1, change: (json: Record<string, unknown>) => object) =>
  token
    .split('.')
    .map((text, i) =>
      i === part
        ? Buffer.from(
            JSON.stringify(change(JSON.parse(Buffer.from(text, 'base64url').toString()))),
          ).toString('base64url')
        : text,
    )
    .join('.');

test('an issuer and an audience are enough', async () => {
  const one = verifier();
  const claims = await one.verify(token);
  expect(claims).toMatchObject({ iss: ISSUER, aud: 'api', role: 'user', ver: 1 });
  await one.ready;
  expect(await one.verify(token)).toBe(await one.verify(token));
});

test('a change that one request makes to its claims is seen by no other', async () => {
  const one = verifier();
  const actor = await personOf(service, client, 'admin');
  const { act, sub } = await one.verify(token);
  expect(act).toBeUndefined();
  const acting = await impersonate(client, { id: sub }, actor);
  const claims = await one.verify(acting);
  expect(claims.act?.sub).toBe(actor.id);
  const changes: ((to: { sub: string; act?: { sub: string } }) => void)[] = [
    (to) => Object.assign(to, { role: 'admin' }),
    (to) => Object.assign(to.act ?? {}, { sub }),
  ];
  for (const change of changes) expect(() => change(claims)).toThrow(TypeError);
  expect((await one.verify(acting)).act?.sub).toBe(actor.id);
});

test.each([
  ['no token', () => ''],
  ['a changed claim', () => changed(1, (claims) => ({ ...claims, role: 'admin' }))],
  ['no algorithm', () => changed(0, (header) => ({ ...header, alg: 'none' }))],
  ['a shared secret', () => changed(0, (header) => ({ ...header, alg: 'HS256' }))],
  ['another type', () => changed(0, (header) => ({ ...header, typ: 'JWT' }))],
  ['an unknown key', () => changed(0, (header) => ({ ...header, kid: 'other' }))],
  ['a long text', () => 'a'.repeat(5000)],
])('refuses %s', async (_, text) => {
  expect(await codeOf(verifier().verify(text()))).toBe('invalid_token');
});

test('refuses tokens for another audience', async () => {
  expect(await codeOf(verifier({ audience: 'other' }).verify(token))).toBe('invalid_token');
});

test('refuses another text of the same token', async () => {
  const one = verifier();
  for (const text of [`${token}\n`, ` ${token}`, `${token}=`, `${token}.`])
    expect(await codeOf(one.verify(text))).toBe('invalid_token');
});

test('without the keys it is the service that is not available, and not the token', async () => {
  const fails = (async () => {
    throw new TypeError('fetch failed');
  }) as typeof fetch;
  const one = verifier({ fetch: fails, requestTimeoutMs: 200 });
  expect(await codeOf(one.verify(token))).toBe('keys_unavailable');
  one.close();
  expect(await codeOf(one.verify(token))).toBe('closed');
  expect(await codeOf(one.ready)).toBe('closed');
});

test('metadata of another issuer is not used, nor keys without TLS', async () => {
  const other = verifier({ issuer: `${ISSUER}/other`, requestTimeoutMs: 300 });
  expect(await codeOf(other.verify(token))).toBe('keys_unavailable');
  expect(() => createVerifier({ issuer: ISSUER, audience: 'api' })).toThrow(/must be https/);
});

const problemOf = async (response: Response) => ({
  status: response.status,
  challenge: response.headers.get('www-authenticate'),
  code: ((await response.json()) as { code?: string }).code,
});
const MISSING = { status: 401, challenge: 'Bearer', code: 'missing_token' };
const INVALID = {
  ...{ status: 401, challenge: 'Bearer error="invalid_token"', code: 'invalid_token' },
};
const FORBIDDEN = {
  ...{ status: 403, challenge: 'Bearer error="insufficient_scope"', code: 'insufficient_scope' },
};
const admins = { allow: ({ role }: { role?: string }) => role === 'admin' };
/** What is not a clear yes lets nobody in. */
const doubtful = [
  { allow: async () => false },
  { allow: (() => undefined) as unknown as () => boolean },
] as const;
const bearer = (text: string) => ({ headers: { authorization: `Bearer ${text}` } });

test('Express: the claims are in req.auth, and refusals are RFC 6750 and RFC 9457', async () => {
  const app = express();
  app.get('/any', expressVerifier(verifier()), (req, res) => {
    res.json((req as { auth?: object }).auth);
  });
  app.get('/admins', expressVerifier(verifier(), admins), (_req, res) => {
    res.end();
  });
  for (const [n, allow] of doubtful.entries())
    app.get(`/doubtful/${n}`, expressVerifier(verifier(), allow), (_req, res) => {
      res.end();
    });
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const good = await fetch(`${url}/any`, bearer(token));
    expect([good.status, await good.json()]).toMatchObject([200, { iss: ISSUER }]);
    expect(await problemOf(await fetch(`${url}/any`))).toEqual(MISSING);
    expect(await problemOf(await fetch(`${url}/any`, bearer('a.b.c')))).toEqual(INVALID);
    expect(await problemOf(await fetch(`${url}/admins`, bearer(token)))).toEqual(FORBIDDEN);
    for (const n of doubtful.keys())
      expect(await problemOf(await fetch(`${url}/doubtful/${n}`, bearer(token)))).toEqual(
        FORBIDDEN,
      );
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test('Fastify: the same, by a hook', async () => {
  const app = fastify();
  app.decorateRequest('auth', null);
  app.addHook('onRequest', fastifyVerifier(verifier()));
  app.get('/any', async (request) => (request as { auth?: object }).auth);
  const options = { onRequest: fastifyVerifier(verifier(), admins) };
  app.get('/admins', options, async () => 'never');
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  try {
    const good = await fetch(`${url}/any`, bearer(token));
    expect([good.status, await good.json()]).toMatchObject([200, { iss: ISSUER }]);
    expect(await problemOf(await fetch(`${url}/any`))).toEqual(MISSING);
    expect(await problemOf(await fetch(`${url}/admins`, bearer(token)))).toEqual(FORBIDDEN);
  } finally {
    await app.close();
  }
});
