import bcrypt from 'bcrypt';
import { Types } from 'mongoose';
import { createOneTimeTokens } from '../../../../src/modules/auth/recovery/one-time-tokens';
import { startTestService, type TestService } from '../../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  register,
  uniqueEmail,
} from '../../../support/http';
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
afterEach(() => stopWorker());
afterAll(async () => {
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

async function sent(query: string, ...records: object[]): Promise<string> {
  const answer = await client('POST', `/api/users/import?${query}`, {
    token: admin,
    raw: records.map((one) => `${JSON.stringify(one)}\n`).join(''),
    headers: { 'content-type': 'application/x-ndjson' },
  });
  expect(answer.status).toBe(202);
  return answer.json.id as string;
}

async function reportOf(job: string) {
  const { text } = await client('GET', `/api/jobs/${job}/report`, { token: admin });
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line));
}

async function startWorker(settings: Record<string, string> = {}): Promise<void> {
  worker ??= await startTestService({ JOBS_POLL_MS: '50', ...settings }, mongo);
}

async function stopWorker(): Promise<void> {
  await worker?.close();
  worker = undefined;
}

/** As a worker leaves it that was killed after its writes: the next one begins again. */
async function killed(job: string, input: readonly object[]): Promise<void> {
  const file = { _id: { $regex: `^${job}:input` } as never };
  // Else its end would remove what is put back.
  await eventually('no file', async () => (await rows('job_files').countDocuments(file)) === 0);
  await rows('job_files').insertMany([...input]);
  const unset = { checkpoint: 1, endedAt: 1, until: 1, resumedAt: 1 } as const;
  await rows('jobs').updateOne(
    { _id: new Types.ObjectId(job) },
    { $set: { state: 'queued', attempts: 0 }, $unset: unset },
  );
}

test('a part that is done again cleans up after the rows of its first writer', async () => {
  const [changed, named] = [(await register(client)).user, (await register(client)).user];
  const records = [
    { email: changed.email, password_hash: HASH },
    // Named, but no other address than before.
    { email: named.email, name: 'Other', email_verified: false },
  ];
  const job = await sent('conflict=update', ...records);
  const input = await rows('job_files').find().toArray();
  await startWorker();
  expect(await ended(job)).toMatchObject({ state: 'done', progress: { updated: 2 } });
  await eventually('the event', async () => (await events(changed.id)) === 1);

  for (const user of [changed, named]) await link(user);
  await killed(job, input);
  await eventually('the clean-up', async () => (await links(changed.id)) === 0);
  expect(await ended(job)).toMatchObject({ state: 'done' });
  expect(await links(named.id)).toBe(1);
  // Once by each of the two: the name that another account has changed.
  await eventually('its events', async () => (await events(named.id)) === 2);
  const about = { subject: named.id, job: { $exists: true } };
  expect(await rows('audit_events').distinct('type', about)).toEqual(['metadata_changed']);
  expect(await rows('users').countDocuments({ passwordHash: HASH })).toBe(1);
});

test('a part that ends the job is counted once, also where its worker dies before the end', async () => {
  const { user } = await register(client);
  const taken = [{ email: uniqueEmail() }, { email: 'no' }, { email: user.email }];
  const job = await sent('conflict=fail', ...taken, { email: uniqueEmail() });
  const _id = new Types.ObjectId(job);
  // Its end is refused, as if its worker died right before it.
  const only = { unique: true, partialFilterExpression: { 'failure.code': { $exists: true } } };
  const refusal = await rows('jobs').createIndex({ 'failure.code': 1 }, only);
  const until = new Date(Date.now() + 3_600_000);
  const other = { state: 'failed', failure: { code: 'user_exists' }, until };
  const { insertedId } = await rows('jobs').insertOne(other);
  await startWorker({ JOBS_LEASE_MS: '1000' });
  await eventually('two more attempts', async () => {
    const found = await rows('jobs').findOne({ _id });
    return found?.['fence'] >= 3;
  });
  await rows('jobs').dropIndex(refusal);
  await rows('jobs').deleteOne({ _id: insertedId });
  const progress = { total: 4, done: 2, created: 1, refused: 1, reported: 1 };
  expect(await ended(job)).toMatchObject({ state: 'failed', progress });
  expect(await reportOf(job)).toMatchObject([{ line: 2, code: 'validation_failed' }]);
});

/**
 * Does a job up to its first checkpoint, as of a worker that is killed then: its lease is not over.
 * Resolves with what its end does to the job.
 */
async function killedBeforeCheckpoint(job: string): Promise<() => Promise<unknown>> {
  const _id = new Types.ObjectId(job);
  const input = await rows('job_files')
    .find({ _id: { $regex: `^${job}:input` } as never })
    .toArray();
  const progress = (await rows('jobs').findOne({ _id }))?.['progress'];
  await startWorker();
  await ended(job);
  // It has removed the file.
  await stopWorker();
  await rows('job_files').insertMany(input);
  const running = { state: 'running', holder: 'killed', attempts: 1, progress };
  const lease = { leaseUntil: new Date(Date.now() + 3_600_000) };
  const unset = { checkpoint: 1, endedAt: 1, until: 1, resumedAt: 1 } as const;
  await rows('jobs').updateOne({ _id }, { $set: { ...running, ...lease }, $unset: unset });
  await startWorker();
  return () => rows('jobs').updateOne({ _id }, { $set: { leaseUntil: new Date(0) } });
}

describe('a part that is done again after another import has changed its users', () => {
  test.each([
    ['update', { created: 2, updated: 1 }],
    ['skip', { created: 2, updated: 0 }],
    ['fail', { created: 2, updated: 0 }],
  ])('conflict=%s', async (conflict, counts) => {
    const { user } = await register(client);
    const [made, moved, elsewhere] = [uniqueEmail('made'), uniqueEmail('moved'), uniqueEmail()];
    const existing = conflict === 'update' ? [{ email: user.email, name: 'First' }] : [];
    const first = await sent(
      `conflict=${conflict}`,
      { email: made, name: 'First' },
      { email: moved, name: 'First', external_id: moved },
      ...existing,
    );
    const expire = await killedBeforeCheckpoint(first);

    const changes = [made, user.email].map((email) => ({ email, name: 'Second' }));
    const second = await ended(await sent('conflict=update', ...changes));
    expect(second).toMatchObject({ state: 'done', progress: { updated: 2 } });
    const move = { external_id: moved, email: elsewhere };
    const third = await ended(await sent('conflict=update&match=external_id', move));
    expect(third).toMatchObject({ state: 'done', progress: { updated: 1 } });

    await expire();
    const job = await ended(first);
    expect(job).toMatchObject({ state: 'done', progress: { ...counts, skipped: 0, refused: 0 } });
    expect(await reportOf(first)).toEqual([]);
    for (const email of [made, user.email])
      expect(await rows('users').findOne({ email })).toMatchObject({ name: 'Second' });
    expect(await rows('users').countDocuments({ email: moved })).toBe(0);
  });

  test('keeps no trace of imports that have ended', async () => {
    const { user } = await register(client);
    await startWorker();
    for (const name of ['One', 'Two', 'Three'])
      await ended(await sent('conflict=update', { email: user.email, name }));
    const stored = await rows('users').findOne({ email: user.email });
    expect(Object.keys(stored?.['importedBy']).sort()).toEqual(['job', 'line', 'members']);
  });

  test('a later line of the file is still the same user', async () => {
    const { user } = await register(client);
    const many = Array.from({ length: 499 }, () => ({ email: uniqueEmail() }));
    const last = { email: user.email, name: 'Last line' };
    const first = await sent('conflict=update', { ...last, name: 'Line 1' }, ...many, last);
    const expire = await killedBeforeCheckpoint(first);
    await ended(await sent('conflict=update', { email: user.email, name: 'Between' }));
    await expire();
    expect((await ended(first)).progress).toMatchObject({ created: 499, updated: 1, refused: 1 });
    expect(await reportOf(first)).toMatchObject([{ line: 501, code: 'duplicate_record' }]);
    expect(await rows('users').findOne({ email: user.email })).toMatchObject({ name: 'Between' });
  });
});

test('a part that is done again does not make a user again that was removed meanwhile', async () => {
  const email = uniqueEmail('removed');
  const job = await sent('conflict=update', { email });
  const expire = await killedBeforeCheckpoint(job);
  const { json } = await client('GET', `/api/users?email=${email}`, { token: admin });
  const path = `/api/users/${json.data[0].id}`;
  expect((await client('DELETE', path, { token: admin })).status).toBe(204);
  await expire();
  expect(await ended(job)).toMatchObject({ state: 'done', progress: { refused: 0 } });
  expect((await client('GET', path, { token: admin })).status).toBe(404);
  expect(await rows('users').countDocuments({ email })).toBe(0);
});
