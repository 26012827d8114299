import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startTestService, type TestService } from '../../support/app';
import { type Client, createClient, login, uniqueEmail } from '../../support/http';
import { impersonate, type Person, personOf } from '../../support/impersonation';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { root } from '../../support/service';
import { startTestSmtp, type TestSmtp } from '../../support/smtp';

let dir: string;
let mongo: TestMongo;
let smtp: TestSmtp;
let service: TestService;
let client: Client;

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'cli-invite-'));
  [mongo, smtp] = await Promise.all([startTestMongo(), startTestSmtp()]);
  service = await startTestService({ SMTP_URL: smtp.url }, mongo);
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await service?.close();
  await Promise.all([mongo?.close(), smtp?.close()]);
  rmSync(dir, { recursive: true, force: true });
});

async function admin(args: readonly string[], more: Record<string, string> = {}) {
  const { PATH = '', HOME = '' } = process.env;
  const entry = path.join(root, 'dist/cli/admin.js');
  const settings = { NODE_ENV: 'test', MONGODB_URI: mongo.uri, SMTP_URL: smtp.url };
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: dir,
    env: { PATH, HOME, JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ', ...settings, ...more },
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (data: Buffer) => {
      output[name] += data.toString();
    });
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, ...output };
}
const tokenIn = (text: string) => /The token is: ([A-Za-z0-9_-]{43})\n/.exec(text)?.[1];
const accept = (token: string | undefined) =>
  client('POST', '/api/auth/invitation/accept', {
    body: { token, password: 'the first password of all' },
  });
const stored = (email: string) =>
  service.database.connection.collection('users').findOne({ emailKey: email });

test('invite opens an account and mails the link; a worker sends it', async () => {
  const email = uniqueEmail('colleague');
  const done = await admin(['invite', '--email', email, '--role', 'support']);
  expect([done.code, done.stderr]).toEqual([0, '']);
  expect(done.stdout).toContain(`The invitation of ${email} is queued (`);
  const first = tokenIn((await smtp.waitFor(email, /Your invitation/)).text);

  const from = smtp.mails.length;
  expect((await admin(['invite', '--email', email])).code).toBe(0);
  const second = tokenIn((await smtp.waitFor(email, /Your invitation/, from)).text);
  expect((await accept(first)).status).toBe(400);
  expect((await accept(second)).status).toBe(204);
  const token = await login(client, email, 'the first password of all');
  expect((await client('GET', '/api/users/me', { token })).json).toMatchObject({
    role: 'support',
    name: email.split('@')[0],
    email_verified: true,
  });
  const again = await admin(['invite', '--email', email]);
  expect([again.code, again.stderr]).toEqual([64, expect.stringContaining('has a password')]);
});

test('without a mail server, no account is made', async () => {
  const email = uniqueEmail('unsent');
  const { code, stderr } = await admin(['invite', '--email', email], { SMTP_URL: '' });
  expect([code, stderr]).toEqual([64, expect.stringContaining('SMTP_URL is not set')]);
  expect(await stored(email)).toBeNull();
});

test('a ban revokes an invitation for good', async () => {
  const email = uniqueEmail('banned');
  await admin(['invite', '--email', email]);
  const token = tokenIn((await smtp.waitFor(email, /Your invitation/)).text);
  for (const command of ['ban', 'unban'])
    expect((await admin([command, '--email', email])).code).toBe(0);
  expect((await stored(email))?.['status']).toBe('active');
  const { status, json } = await accept(token);
  expect([status, json.code]).toEqual([400, 'invalid_mail_token']);
});

test.each(['user', 'administrator'])('a ban of the %s ends acting as the user', async (whose) => {
  const [user, actor] = (await Promise.all(
    ['user', 'admin'].map((role) => personOf(service, client, role)),
  )) as [Person, Person];
  const token = await impersonate(client, user, actor);
  const status = async () => (await client('GET', '/api/auth/profile', { token })).status;
  expect(await status()).toBe(200);
  const { id } = whose === 'user' ? user : actor;
  expect((await admin(['ban', '--id', id])).code).toBe(0);
  expect(await status()).toBe(401);
});
