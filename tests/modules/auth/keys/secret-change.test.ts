import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  DecryptionError,
  decryptWithAny,
  encryptForAll,
} from '../../../../src/kernel/crypto/encryption';
import { entry, type Fleet, startFleet } from '../../../support/fleet';
import { createClient, login, uniqueEmail } from '../../../support/http';
import { root, type ServiceProcess, startService } from '../../../support/service';

const NEW = 'Zp4Kd8Vn2Gt6Xb1Rw5Jc9Lf3Qy7Ms0Hv';
let old: Fleet;
const started: ServiceProcess[] = [];
beforeAll(async () => {
  old = await startFleet(1, {
    KEY_POLL_MS: '100',
    KEY_LEAD_SECONDS: '1',
    KEY_ROTATION_SECONDS: '86400',
  });
});
afterAll(async () => {
  await Promise.all(started.map((service) => service.close()));
  await old.close();
});

const secretOf = () => old.environment['KEY_ENCRYPTION_SECRET'] ?? '';
async function startBeside(env: Record<string, string>): Promise<ServiceProcess> {
  const service = await startService({
    entry,
    env: { ...old.environment, ...env },
    timeoutMs: 60_000,
  });
  started.push(service);
  return service;
}

test("KEY_ENCRYPTION_SECRET changes host by host: hosts read each other's keys and stored answers", async () => {
  const between = await startBeside({
    KEY_ENCRYPTION_SECRET: NEW,
    KEY_ENCRYPTION_SECRET_PREVIOUS: secretOf(),
  });
  const hosts = [
    createClient(old.url, { unchecked: true }),
    createClient(between.url, { unchecked: true }),
  ] as const;
  const tokens = await Promise.all(
    hosts.map((host) => login(host, old.admin.email, old.admin.password)),
  );
  for (const host of hosts)
    for (const token of tokens)
      expect((await host('GET', '/api/auth/profile', { token })).status).toBe(200);

  // A key that was made with the new secret in use: a host that knows the old one alone signs and
  // verifies with it.
  const { PATH = '', HOME = '' } = process.env;
  const env = {
    ...old.environment,
    PATH,
    HOME,
    KEY_ENCRYPTION_SECRET: NEW,
    KEY_ENCRYPTION_SECRET_PREVIOUS: secretOf(),
  };
  const rotated = spawnSync(
    process.execPath,
    [path.join(root, 'dist/cli/keys.js'), 'rotate', '--now'],
    {
      cwd: tmpdir(),
      env,
      encoding: 'utf8',
    },
  );
  expect([rotated.status, rotated.stderr]).toEqual([
    0,
    expect.stringMatching(/^(Waiting for \d+ processes .*\n)*$/),
  ]);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const kids = await Promise.all(
    hosts.map(async (host) => {
      const token = await login(host, old.admin.email, old.admin.password);
      for (const other of hosts)
        expect((await other('GET', '/api/auth/profile', { token })).status).toBe(200);
      return (
        JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as {
          kid: string;
        }
      ).kid;
    }),
  );
  expect(rotated.stdout).toContain(kids[0]);
  expect(new Set(kids).size).toBe(1);

  // One POST with a key, repeated at the other host, is done once; whichever came first.
  for (const [first, second] of [hosts, [hosts[1], hosts[0]] as const]) {
    const [key, email] = [randomUUID(), uniqueEmail()];
    const request = {
      token: tokens[0] ?? '',
      headers: { 'idempotency-key': key },
      body: { name: 'Once', email, password: 'a password of my own' },
    };
    const made = await first('POST', '/api/users', request);
    const again = await second('POST', '/api/users', request);
    expect([made.status, again.status, again.headers.get('idempotent-replayed')]).toEqual([
      201,
      201,
      'true',
    ]);
    expect(again.json).toEqual(made.json);
  }

  // The old secret is gone from a host that knows the new one alone, and nobody notices.
  const after = await startBeside({ KEY_ENCRYPTION_SECRET: NEW });
  const last = createClient(after.url, { unchecked: true });
  for (const token of tokens)
    expect((await last('GET', '/api/auth/profile', { token })).status).toBe(200);
}, 120_000);

test('a value encrypted for all secrets decrypts with each of them and no other', () => {
  const sealed = encryptForAll(['a'.repeat(32), 'b'.repeat(32)], 'x', Buffer.from('text'));
  for (const secret of ['a', 'b'])
    expect(decryptWithAny([secret.repeat(32)], 'x', sealed).toString()).toBe('text');
  expect(() => decryptWithAny(['c'.repeat(32)], 'x', sealed)).toThrow(DecryptionError);
  expect(() => decryptWithAny(['a'.repeat(32)], 'y', sealed)).toThrow(DecryptionError);
});
