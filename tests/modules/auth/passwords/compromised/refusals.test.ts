import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buildList } from '../../../../../src/modules/auth/passwords/compromised/list-builder';
import { startTestService, type TestService } from '../../../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../../support/http';
import { startTestMongo, type TestMongo } from '../../../../support/mongo';

const LEAKED = 'leaked horse battery';
const digestOf = (text: string) => createHash('sha1').update(text).digest('hex').toUpperCase();
const CODE = 'password_compromised';

let folder: string;
let mongo: TestMongo;
let service: TestService;
let client: Client;
let log = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'refusals-'));
  await listOf('list', [LEAKED]);
  mongo = await startTestMongo();
  const logTo = new PassThrough();
  logTo.on('data', (line: Buffer) => {
    log += line.toString();
  });
  const settings = { COMPROMISED_PASSWORDS_FILE: join(folder, 'list'), LOG_LEVEL: 'debug' };
  service = await startTestService(settings, mongo, logTo);
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await service?.close();
  await mongo?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function listOf(name: string, passwords: readonly string[]): Promise<void> {
  const others = Array.from({ length: 5000 }, (_, i) => `other ${i}`);
  const lines = [...passwords, ...others].map((password) => `${digestOf(password)}:1`);
  writeFileSync(join(folder, 'hashes.txt'), lines.join('\n'));
  await buildList({
    ...{ inputs: [join(folder, 'hashes.txt')], output: join(folder, name) },
    ...{ prefixBytes: 6, minCount: 1, memoryEntries: 4096, progress: () => {} },
  });
}

const faultOf = (answer: Awaited<ReturnType<Client>>) => [
  answer.status,
  answer.json.errors?.[0]?.pointer,
  answer.json.errors?.[0]?.code,
];

test('a registration with a leaked password is refused, and one with another is not', async () => {
  const body = { name: 'Ada', email: uniqueEmail('leaked'), password: LEAKED };
  const answer = await client('POST', '/api/auth/register', { body });
  expect(faultOf(answer)).toEqual([422, '/password', CODE]);
  await register(client, { email: body.email });
});

test('a change of password to a leaked one is refused', async () => {
  const email = uniqueEmail('change');
  const { access_token: token } = await register(client, { email });
  const change = (new_password: string) =>
    client('PATCH', '/api/auth/password', {
      token,
      body: { current_password: PASSWORD, new_password },
    });
  expect(faultOf(await change(LEAKED))).toEqual([422, '/new_password', CODE]);
  expect((await change('another horse battery')).status).toBe(200);
});

test('an account that an administrator opens gets no leaked password', async () => {
  const token = await login(client, service.admin.email, service.admin.password);
  const body = { name: 'Ada', email: uniqueEmail('opened'), password: LEAKED };
  const answer = await client('POST', '/api/users', { token, body });
  expect(faultOf(answer)).toEqual([422, '/password', CODE]);
});

test('an import refuses the leaked plain passwords, and takes the other records', async () => {
  const token = await login(client, service.admin.email, service.admin.password);
  const [leaked, sound] = [uniqueEmail('import'), uniqueEmail('import')];
  const lines = [
    { name: 'Leaked', email: leaked, password: LEAKED },
    { name: 'Sound', email: sound, password: 'a sound horse battery' },
  ];
  const answer = await fetch(`${service.baseUrl}/api/users/import`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/x-ndjson' },
    body: lines.map((line) => JSON.stringify(line)).join('\n'),
  });
  expect(answer.status).toBe(202);
  const { id } = (await answer.json()) as { id: string };
  const job = await eventually('the import has ended', async () => {
    const { json } = await client('GET', `/api/jobs/${id}`, { token });
    return json.state === 'done' && json;
  });
  expect(job).toMatchObject({ progress: { created: 1, refused: 1 } });
  const report = await client('GET', `/api/jobs/${id}/report`, { token });
  expect(report.text).toContain(CODE);
  await login(client, sound, 'a sound horse battery');
});

test('an account that has a leaked password still signs in: the list is for new ones', async () => {
  const email = uniqueEmail('old');
  const before = await startTestService({}, mongo);
  await register(createClient(before.baseUrl), { email, password: LEAKED });
  await before.close();
  // The rehash after a change of the cost does not look it up, either.
  const after = await startTestService(
    { COMPROMISED_PASSWORDS_FILE: join(folder, 'list'), BCRYPT_COST: '5' },
    mongo,
  );
  try {
    await login(createClient(after.baseUrl), email, LEAKED);
    const user = await after.database.connection.collection('users').findOne({ emailKey: email });
    expect(user?.['passwordHash']).toMatch(/^\$2b\$05\$/);
  } finally {
    await after.close();
  }
});

test('a list that is damaged after the start refuses new passwords with 503, and no login', async () => {
  await listOf('breaks', [LEAKED]);
  const path = join(folder, 'breaks');
  const email = uniqueEmail('breaks');
  let lines = '';
  const logTo = new PassThrough();
  logTo.on('data', (line: Buffer) => {
    lines += line.toString();
  });
  const settings = { COMPROMISED_PASSWORDS_FILE: path, LOG_LEVEL: 'info' };
  const broken = await startTestService(settings, mongo, logTo);
  try {
    const own = createClient(broken.baseUrl);
    await register(own, { email });
    // The same file, not another in its place: the service has it open.
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(7, 4096));
    const body = { name: 'Ada', email: uniqueEmail('refused'), password: PASSWORD };
    const answer = await own('POST', '/api/auth/register', { body });
    expect([answer.status, answer.json.code]).toEqual([503, 'password_check_unavailable']);
    expect(answer.headers.get('retry-after')).toBe('5');
    await login(own, email, PASSWORD);
    expect(lines).toContain('compromised password list not read');
    expect(lines).not.toContain(PASSWORD);
  } finally {
    await broken.close();
  }
});

test.each([
  ['that is not there', 'nowhere', /cannot be read \(ENOENT\)/],
  ['of hashes', 'hashes.txt', /is not a list made by/],
])('a file %s stops the start, with the name of the setting', async (_, name, message) => {
  const start = startTestService({ COMPROMISED_PASSWORDS_FILE: join(folder, name) }, mongo);
  const error = await start.then(
    (started) => started.close().then(() => undefined),
    (reason: Error) => reason,
  );
  expect(error).toMatchObject({ name: 'ConfigError' });
  expect(error?.message).toMatch(/COMPROMISED_PASSWORDS_FILE names ".*", which/);
  expect(error?.message).toMatch(message);
});

test('neither a password nor its digest is logged', () => {
  expect(log.length).toBeGreaterThan(1000);
  expect(log).not.toContain(LEAKED);
  expect(log.toUpperCase()).not.toContain(digestOf(LEAKED).slice(0, 8));
});
