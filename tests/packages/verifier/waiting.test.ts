import { createServer } from 'node:net';
import path from 'node:path';
import type * as Testing from '../../../packages/testing/src';
import type { TestAuth } from '../../../packages/testing/src';
import { run } from '../../support/processes';
import { freePort, root } from '../../support/service';

/** Programs that end with what they wait for: neither before, nor never. */

const packaged = (name: string) => path.join(root, `packages/${name}/dist/cjs/index.js`);
const { startAuth } = require(packaged('testing')) as typeof Testing;

let auth: TestAuth;
let credentials: { readonly clientId: string; readonly clientSecret: string };
let token: string;
beforeAll(async () => {
  auth = await startAuth();
  const admin = await auth.signIn(await auth.createUser({ role: 'admin' }));
  token = admin.access_token;
  const response = await fetch(`${auth.url}/api/service-accounts`, {
    method: 'POST',
    headers: { ...admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'v', scopes: ['revocations:read', 'tokens:introspect'] }),
  });
  const { id, client_secret } = (await response.json()) as Record<string, string>;
  credentials = { clientId: String(id), clientSecret: String(client_secret) };
});
afterAll(() => auth?.close());

/** A plain script with `verifier`, until it ends. */
async function script(options: object, body: string, handler = '') {
  const program = `
    const { createVerifier } = require(${JSON.stringify(packaged('verifier'))});
    const say = (...words) => console.log(words.join(' '));
    const verifier = createVerifier({
      ...${JSON.stringify({ issuer: auth.url, audience: 'api', ...options })},
      ${handler}
    });
    (async () => { ${body} })().catch((error) => say('failed:', error.name, error.code));`;
  const began = performance.now();
  const one = run([process.execPath, '-e', program], { cwd: root, env: {} });
  const code = await Promise.race([
    one.exited.then(({ code: status }) => status),
    new Promise<string>((resolve) => setTimeout(resolve, 20_000, 'still running').unref()),
  ]);
  const said = one.output().trim();
  await one.stop();
  return { code, said, ms: performance.now() - began };
}

describe('while nothing answers', () => {
  test.each([
    ['refuses the connection', false],
    ['accepts the connection and is silent', true],
  ])('a service that %s: verify gives its error', async (_, isSilent) => {
    const port = await freePort();
    const server = createServer();
    if (isSilent) await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
    try {
      const down = { issuer: `http://127.0.0.1:${port}`, requestTimeoutMs: 700 };
      const { code, said } = await script(down, "say(await verifier.verify('a.b.c'))");
      expect([code, said]).toEqual([0, 'failed: VerifierError keys_unavailable']);
    } finally {
      server.close();
    }
  });

  test('ready is waited for, until the verifier is closed', async () => {
    const down = { issuer: `http://127.0.0.1:${await freePort()}`, requestTimeoutMs: 300 };
    const body = 'setTimeout(() => verifier.close(), 1500).unref(); await verifier.ready;';
    const { code, said, ms } = await script(down, body);
    expect([code, said]).toEqual([0, 'failed: VerifierError closed']);
    expect(ms).toBeGreaterThan(1500);
  });

  test('a verifier that nobody asks keeps no process alive', async () => {
    const down = { issuer: `http://127.0.0.1:${await freePort()}`, credentials };
    expect((await script(down, '')).code).toBe(0);
  });
});

test('following the log alone keeps no process alive', async () => {
  const body = "await verifier.ready; say('ready')";
  const { code, said } = await script({ credentials }, body);
  expect([code, said]).toEqual([0, 'ready']);
});

test.each([
  ['throws', "onEvent() { throw new Error('of the handler') }"],
  ['rejects', "async onEvent() { throw new Error('of the handler') }"],
])('a handler that %s has no part in what is decided', async (_, handler) => {
  const body = `
    await verifier.ready;
    // Past the lease. On a busy machine it may be silent for a moment, and must come back.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    while (!verifier.isCurrent) await new Promise((resolve) => setTimeout(resolve, 20));
    await verifier.verify(${JSON.stringify(token)});
    say('current');`;
  const { code, said } = await script({ credentials }, body, handler);
  expect(code).toBe(0);
  expect(said).toMatch(/^current$/m);
  expect(said.match(/VerifierWarning: onEvent of createVerifier has thrown/g)).toHaveLength(1);
  expect(said).toContain('of the handler');
});

test('a handler that throws while nothing answers changes no error', async () => {
  const down = {
    issuer: `http://127.0.0.1:${await freePort()}`,
    requestTimeoutMs: 300,
    credentials,
  };
  const body = `
    for (let n = 0; n < 3; n += 1)
      say(await verifier.verify('a.b.c').catch((error) => [error.name, error.code]));`;
  const { code, said } = await script(
    down,
    body,
    "onEvent() { throw new Error('of the handler') }",
  );
  expect(code).toBe(0);
  expect(said.match(/^VerifierError,keys_unavailable$/gm)).toHaveLength(3);
});
