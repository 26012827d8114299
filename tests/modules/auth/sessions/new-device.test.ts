import { deviceName } from '../../../../src/modules/auth/sessions/device-name';
import { startTestService, type TestService } from '../../../support/app';
import { addTotp, laterOn } from '../../../support/factors';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const MAIL_SETTINGS = {
  MAIL_LINK_BASE: 'https://app.example.test/account',
  TRUST_PROXY: '1',
};

let smtp: TestSmtp;
let service: TestService;
let client: Client;

beforeAll(async () => {
  smtp = await startTestSmtp();
  service = await startTestService({ SMTP_URL: smtp.url, ...MAIL_SETTINGS });
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await service?.close();
  await smtp?.close();
});

const from = (address: string, userAgent = FIREFOX) => ({
  'x-forwarded-for': address,
  'user-agent': userAgent,
});

async function signIn(
  email: string,
  address: string,
  { password = PASSWORD, userAgent = FIREFOX, by = client } = {},
): Promise<number> {
  const headers = from(address, userAgent);
  return (await by('POST', '/api/auth/login', { body: { email, password }, headers })).status;
}

/** Looks for new devices that have ended. */
async function jobs(of: TestService): Promise<number> {
  const metric = await of.metrics.getSingleMetric('auth_background_jobs_total')?.get();
  const done = metric?.values.filter(
    ({ labels }) => labels['name'] === 'new-device' && labels['result'] !== 'dropped',
  );
  return (done ?? []).reduce((sum, { value }) => sum + value, 0);
}

/** Signs in, and waits until everything that a login from a new device causes has been queued. */
async function signInAndWait(...args: Parameters<typeof signIn>): Promise<void> {
  const before = await jobs(service);
  expect(await signIn(...args)).toBe(200);
  await eventually('the job', async () => (await jobs(service)) > before);
}

const auditOf = (subject: string, of = service) =>
  of.database.connection.collection('audit_events').find({ subject, type: 'new_device' }).toArray();
const noticesTo = (email: string) =>
  smtp.mails.filter(({ to, subject }) => to.includes(email) && /New sign-in/.test(subject));
/** All queued notices were sent. */
const allSent = () =>
  eventually('an empty queue', async () => {
    const waiting = service.database.connection.collection('mail_queue');
    return (await waiting.countDocuments({ kind: 'new-device' })) === 0;
  });

async function account() {
  const email = uniqueEmail('device');
  const headers = from('192.0.2.10');
  const body = { name: 'Ada Lovelace', email, password: PASSWORD };
  const { json } = await client('POST', '/api/auth/register', { body, headers });
  return { email, id: (json as { user: { id: string } }).user.id };
}

test('a login from a new device is told to the account once, and audited', async () => {
  const { email, id } = await account();
  expect(await signIn(email, '192.0.2.10')).toBe(200);
  const userAgent = `${FIREFOX} Call-me-at-evil.example`;
  await signInAndWait(email, '198.51.100.77', { userAgent });
  const { text, html } = await smtp.waitFor(email, /New sign-in to your account/);
  for (const part of [text, html]) {
    expect(part).toContain('app.example.test');
    expect(part).toMatch(/Time: \d{4}-\d\d-\d\d \d\d:\d\d UTC/);
    expect(part).toContain('Device: Firefox on Linux');
    expect(part).toContain('Network: 198.51.100.0/24');
    expect(part).toContain('https://app.example.test/account?purpose=forgot-password');
    // Neither the full address nor the text that the client chose.
    expect(part).not.toContain('198.51.100.77');
    expect(part).not.toContain('evil');
  }
  expect(await signIn(email, '198.51.100.77', { userAgent })).toBe(200);
  const events = await eventually('the event', async () => {
    const found = await auditOf(id);
    return found.length > 0 && found;
  });
  expect(events).toMatchObject([{ actor: id, result: 'success', network: '198.51.100.77' }]);
  await allSent();
  expect(noticesTo(email)).toHaveLength(1);
});

test('it is told before a factor is asked for, and once', async () => {
  const { email, id } = await account();
  expect(await signIn(email, '192.0.2.10')).toBe(200);
  const token = await login(client, email, PASSWORD);
  const { app } = await addTotp(client, token);
  await allSent();
  const before = noticesTo(email).length;
  const headers = from('198.51.100.78');
  const body = { email, password: PASSWORD };
  const asked = await client('POST', '/api/auth/login', { body, headers });
  expect(asked.json.mfa_required).toBe(true);
  await eventually('the notice', async () => noticesTo(email).length === before + 1);
  await laterOn(service, id);
  const given = await client('POST', '/api/auth/mfa/verify', {
    ...{ headers, body: { mfa_token: asked.json.mfa_token, factor: 'totp', code: app() } },
  });
  expect(given.status).toBe(200);
  await eventually('the audit event', async () => (await auditOf(id)).length > 0);
  await allSent();
  expect(noticesTo(email)).toHaveLength(before + 1);
});

test('neither a registration, nor a first login, nor a wrong password is told', async () => {
  const { email, id } = await account();
  expect(await signIn(email, '198.51.100.1', { password: 'not the password' })).toBe(401);
  const admin = await login(client, service.admin.email, service.admin.password);
  const opened = uniqueEmail('opened');
  const body = { name: 'Grace', email: opened, password: PASSWORD };
  const created = await client('POST', '/api/users', { token: admin, body });
  await signInAndWait(opened, '198.51.100.2');
  // The jobs run one after another in each queue: that of the last login is done, so are the others.
  await allSent();
  expect(noticesTo(email)).toEqual([]);
  expect(noticesTo(opened)).toEqual([]);
  expect(await auditOf(id)).toEqual([]);
  expect(await auditOf(String(created.json.id))).toEqual([]);
});

test('at most five go to an account within an hour; each device is audited', async () => {
  const { email, id } = await account();
  for (let i = 1; i <= 7; i += 1) await signInAndWait(email, `203.0.${i}.1`);
  await eventually('the events', async () => (await auditOf(id)).length === 7);
  await allSent();
  expect(noticesTo(email)).toHaveLength(5);
});

test('NEW_DEVICE_MAIL=false sends none and audits; without a mail server none waits', async () => {
  for (const settings of [{ SMTP_URL: smtp.url, NEW_DEVICE_MAIL: 'false' }, {}]) {
    const other = await startTestService({ ...MAIL_SETTINGS, ...settings });
    try {
      const by = createClient(other.baseUrl);
      const { user } = await register(by, { email: uniqueEmail('quiet') });
      expect(await signIn(user.email, '198.51.100.3', { by })).toBe(200);
      await eventually('the event', async () => (await auditOf(user.id, other)).length === 1);
      await eventually('the job', async () => (await jobs(other)) > 0);
      const queue = other.database.connection.collection('mail_queue');
      expect(await queue.countDocuments({ kind: 'new-device' })).toBe(0);
      expect(noticesTo(user.email)).toEqual([]);
    } finally {
      await other.close();
    }
  }
});

test.each([
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) … Chrome/140.0 Safari/537.36 Edg/140.0',
    'Edge on Windows',
  ],
  ['Mozilla/5.0 (Linux; Android 15) … Chrome/140.0 Mobile Safari/537.36', 'Chrome on Android'],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) … Version/18.0 Mobile Safari/604.1',
    'Safari on iOS',
  ],
  ['curl/8.5.0', 'curl'],
  ['Some App (Windows)', 'Windows'],
  ['Call +1 555 0100, your account is in danger', 'an unknown program'],
  ['', 'an unknown program'],
])('the name of %j is %s', (userAgent, name) => {
  expect(deviceName(userAgent)).toBe(name);
});
