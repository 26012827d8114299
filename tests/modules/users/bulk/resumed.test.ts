import bcrypt from 'bcrypt';
import { Types } from 'mongoose';
import { createOneTimeTokens } from '../../../../src/modules/auth/recovery/one-time-tokens';
import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, eventually, login, register } from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

const HASH = bcrypt.hashSync('the old password', 4);

let mongo: TestMongo;
/** Takes the file; another process does the job. */
let host: TestService;
let worker: TestService | undefined;
let client: Client;
let admin: string;

beforeAll(async () => {
  mongo = await startTestMongo();
  host = await startTestService({ JOBS_RUN: 'false' }, mongo);
  client = createClient(host.baseUrl);
  admin = await login(client, host.admin.email, host.admin.password);
});
afterAll(async () => {
  await worker?.close();
  await host?.close();
  await mongo?.close();
});

const rows = (name: string) => host.database.connection.collection(name);
const links = (userId: string) => rows('one_time_tokens').countDocuments({ userId });
const events = (subject: string) =>
  rows('audit_events').countDocuments({ subject, job: { $exists: true } });
const ended = (job: string) =>
  eventually('the end of the job', async () => {
    const { json } = await client('GET', `/api/jobs/${job}`, { token: admin });
    return !['queued', 'running'].includes(json.state) && json;
  });

async function link({ id: userId, email }: { id: string; email: string }): Promise<void> {
  const tokens = createOneTimeTokens(host.database.connection, { timeoutMs: 2000 });
  await tokens.issue({ purpose: 'reset-password', userId, email, accountEmail: email }, 600);
}

/** As a worker leaves it that was killed after its writes: the next one begins again. */
async function killed(job: string, input: readonly object[]): Promise<void> {
  await rows('job_files').insertMany([...input]);
  const unset = { checkpoint: 1, endedAt: 1, until: 1, resumedAt: 1 } as const;
  await rows('jobs').updateOne(
    { _id: new Types.ObjectId(job) },
    { $set: { state: 'queued', attempts: 0 }, $unset: unset },
  );
}

test('a part that is done again cleans up after what its first writer wrote', async () => {
  const [changed, named] = [(await register(client)).user, (await register(client)).user];
  const records = [
    { email: changed.email, password_hash: HASH },
    // Named, but no other address than before.
    { email: named.email, name: 'Other', email_verified: false },
  ];
  const answer = await client('POST', '/api/users/import?conflict=update', {
    token: admin,
    raw: records.map((one) => `${JSON.stringify(one)}\n`).join(''),
    headers: { 'content-type': 'application/x-ndjson' },
  });
  const job: string = answer.json.id;
  const input = await rows('job_files').find().toArray();
  worker = await startTestService({ JOBS_POLL_MS: '50' }, mongo);
  expect(await ended(job)).toMatchObject({ state: 'done', progress: { updated: 2 } });
  await eventually('the event', async () => (await events(changed.id)) === 1);

  for (const user of [changed, named]) await link(user);
  await killed(job, input);
  await eventually('the clean-up', async () => (await links(changed.id)) === 0);
  expect(await ended(job)).toMatchObject({ state: 'done' });
  expect(await links(named.id)).toBe(1);
  expect(await events(named.id)).toBe(0);
  expect(await rows('users').countDocuments({ passwordHash: HASH })).toBe(1);
});
