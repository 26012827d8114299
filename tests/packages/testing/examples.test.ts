import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type * as Testing from '../../../packages/testing/src';
import type { Session, TestAuth } from '../../../packages/testing/src';
import { type Running, run } from '../../support/processes';
import { freePort, root, until } from '../../support/service';

/** The programs of examples/, each started by its one command, against the real service. */

const { startAuth } = require(
  path.join(root, 'packages/testing/dist/cjs/index.js'),
) as typeof Testing;

let auth: TestAuth;
let folder: string;
const running: Running[] = [];
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'examples-'));
  auth = await startAuth();
});
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});
afterAll(async () => {
  await auth?.close();
  rmSync(folder, { recursive: true, force: true });
});

function start(program: string, env: Record<string, string>): Running {
  const { PATH = '' } = process.env;
  const command = ['node', path.join(root, 'examples', program)];
  const one = run(command, { cwd: folder, env: { PATH, AUTH_URL: auth.url, ...env } });
  running.push(one);
  return one;
}

async function call(url: string, method = 'GET', as?: Session, body?: object) {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...as?.headers },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
  return { status: response.status, json };
}

async function serviceAccount(admin: Session, scopes: readonly string[]) {
  const account = { name: 'example', scopes };
  const { status, json } = await call(`${auth.url}/api/service-accounts`, 'POST', admin, account);
  expect(status).toBe(201);
  return { AUTH_CLIENT_ID: String(json['id']), AUTH_CLIENT_SECRET: String(json['client_secret']) };
}

test('the examples are short', () => {
  for (const name of ['resource-server', 'mirror'])
    for (const file of readdirSync(path.join(root, 'examples', name))) {
      const text = readFileSync(path.join(root, 'examples', name, file), 'utf8');
      expect([file, text.trimEnd().split('\n').length <= 60]).toEqual([file, true]);
    }
});

test('resource-server: accepts tokens, and none of a session that has ended', async () => {
  const admin = await auth.signIn(await auth.createUser({ role: 'admin' }));
  const user = await auth.signIn(await auth.createUser());
  const credentials = await serviceAccount(admin, ['revocations:read', 'tokens:introspect']);
  const port = await freePort();
  const server = start('resource-server/server.mjs', { PORT: String(port), ...credentials });
  const url = `http://127.0.0.1:${port}`;
  const ready = async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.status === 200;
  await until(() => `readiness:\n${server.output()}`, ready, 30_000);

  expect((await call(`${url}/orders`)).status).toBe(401);
  expect((await call(`${url}/orders`, 'POST', user, { item: 'tea' })).status).toBe(201);
  const { json } = await call(`${url}/orders`, 'GET', user);
  expect(json).toEqual({ data: [{ item: 'tea', at: expect.any(String) }] });
  expect((await call(`${url}/reports`, 'GET', user)).status).toBe(403);
  expect((await call(`${url}/reports`, 'GET', admin)).json).toEqual({ owners: 1 });

  expect((await call(`${auth.url}/api/auth/logout`, 'POST', user)).status).toBe(204);
  expect((await call(`${url}/orders`, 'GET', user)).status).toBe(401);
});

test('mirror: equals the service, also after it was killed and after users were removed', async () => {
  const admin = await auth.createUser({ role: 'admin', name: 'Admin' });
  const as = await auth.signIn(admin);
  const credentials = await serviceAccount(as, ['events:read', 'users:read']);
  const env = { ...credentials, MIRROR_FILE: path.join(folder, 'mirror.json'), POLL_MS: '50' };
  const [ada, bob] = [await auth.createUser({ name: 'Ada' }), await auth.createUser()];
  const namesOf = () => {
    try {
      const { users } = JSON.parse(readFileSync(env.MIRROR_FILE, 'utf8')) as {
        users: Record<string, { readonly name: string }>;
      };
      return Object.fromEntries(Object.entries(users).map(([id, { name }]) => [id, name]));
    } catch {
      return {};
    }
  };
  const becomes = async (wanted: Record<string, string>) => {
    const isSo = () =>
      Object.entries(wanted).every(([id, name]) => namesOf()[id] === name) &&
      namesOf()[bob.id] === wanted[bob.id];
    const seen = () => `${JSON.stringify(wanted)}, not ${JSON.stringify(namesOf())}`;
    await until(() => `${seen()}\n${running.at(-1)?.output()}`, isSo, 20_000);
  };
  const first = start('mirror/mirror.mjs', env);
  await becomes({ [admin.id]: 'Admin', [ada.id]: 'Ada', [bob.id]: 'Test User' });
  const one = `${auth.url}/api/users/${ada.id}`;
  expect((await call(one, 'PATCH', as, { name: 'Ada Lovelace' })).status).toBe(200);
  await becomes({ [ada.id]: 'Ada Lovelace', [bob.id]: 'Test User' });

  first.child.kill('SIGKILL');
  expect((await call(`${auth.url}/api/users/${bob.id}`, 'DELETE', as)).status).toBe(204);
  const eve = await auth.createUser({ name: 'Eve' });
  start('mirror/mirror.mjs', env);
  await becomes({ [ada.id]: 'Ada Lovelace', [eve.id]: 'Eve' });
});
