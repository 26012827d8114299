import { createHash } from 'node:crypto';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import bcrypt from 'bcrypt';
import { Types } from 'mongoose';
import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, eventually, login } from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';
import { isRunning, root, type ServiceProcess, startService } from '../../../support/service';

/** More with `KILLS=20`. */
const KILLS = Number(process.env['KILLS'] ?? 3);
const RECORDS = 1800 * KILLS;
const LEASE_MS = 4500;

let mongo: TestMongo;
/** Takes the file and runs no jobs: the workers of another host do. */
let host: TestService;
let workers: ServiceProcess;
let client: Client;
let token: string;

beforeAll(async () => {
  mongo = await startTestMongo();
  host = await startTestService({ JOBS_RUN: 'false' }, mongo);
  workers = await startService({
    entry: path.join(root, 'dist/main.js'),
    timeoutMs: 60_000,
    env: {
      NODE_ENV: 'test',
      MONGODB_URI: mongo.uri,
      JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ',
      ...{ JOBS_LEASE_MS: String(LEASE_MS), JOBS_POLL_MS: '100', RATE_LIMIT: 'false' },
    },
  });
  client = createClient(host.baseUrl, { unchecked: true });
  token = await login(client, host.admin.email, host.admin.password);
}, 180_000);
afterAll(async () => {
  await workers?.close();
  await host?.close();
  await mongo?.close();
});

const users = () => host.database.connection.collection('users');
const HASH = bcrypt.hashSync('the old password', 4);
const emailOf = (i: number) => `user${i}@example.org`;

/** New users, every third changes one that exists, and some that are not taken. */
function file(): string {
  const lines = Array.from({ length: RECORDS }, (_, i) => {
    if (i % 500 === 7) return '{"email":';
    if (i % 500 === 8) return JSON.stringify({ email: emailOf(i - 3) });
    const name = `Name ${i}`;
    return JSON.stringify({ email: emailOf(i), name, password_hash: HASH, app_metadata: { i } });
  });
  return `${lines.join('\n')}\n`;
}

async function setUp(): Promise<void> {
  // In steps, each within the time of one operation.
  for (;;) {
    const some = await users()
      .find({ role: 'user' }, { projection: { _id: 1 }, limit: 500 })
      .toArray();
    if (some.length === 0) break;
    await users().deleteMany({ _id: { $in: some.map(({ _id }) => _id) } });
  }
  const before = Array.from({ length: RECORDS / 3 }, (_, i) =>
    JSON.stringify({ email: emailOf(3 * i), name: 'Before' }),
  );
  expect((await run(before.join('\n'))).progress.created).toBe(RECORDS / 3);
}

async function send(body: string): Promise<string> {
  const headers = { 'content-type': 'application/x-ndjson' };
  const query = '?conflict=update';
  const answer = await client('POST', `/api/users/import${query}`, { token, raw: body, headers });
  expect(answer.status).toBe(202);
  return answer.json.id as string;
}

const ended = (id: string) =>
  eventually(
    'the end of the job',
    async () => {
      const { status, json } = await client('GET', `/api/jobs/${id}`, { token });
      return status === 200 && json.state !== 'queued' && json.state !== 'running' && json;
    },
    120_000,
  );
const run = async (body: string) => ended(await send(body));

const PENDING = {
  $or: ['outbox.0', 'pendingEnds'].map((name) => ({ [name]: { $exists: true } })),
};

/** Of everything about the users but what differs between two jobs. */
async function digest(): Promise<string> {
  await eventually('every event in the log', async () => (await users().findOne(PENDING)) === null);
  const hash = createHash('sha256');
  for await (const user of users().find({ role: 'user' }).sort({ emailKey: 1 })) {
    const { _id, createdAt, updatedAt, importedBy, ...rest } = user;
    hash.update(JSON.stringify([rest, importedBy?.line]));
  }
  return hash.digest('hex');
}

interface Running {
  readonly fence: number;
  readonly holder: string;
  readonly checkpoint: number;
  readonly resumedAt: number;
}

/** The job while it runs; undefined when it has ended. */
async function running(id: string): Promise<Running | undefined> {
  const _id = new Types.ObjectId(id);
  const job = await host.database.connection.collection('jobs').findOne({ _id });
  if (job === null || !['queued', 'running'].includes(job['state'])) return undefined;
  const { fence = 0, holder = '', checkpoint = 0, resumedAt = 0 } = job;
  return { fence, holder, checkpoint, resumedAt };
}

const pidOf = ({ holder }: Running) => Number(/ (\d+) /.exec(holder)?.[1]);

/** Waits until a process after claim `fence` has the job, and has got on. */
const claimedAfter = (id: string, fence: number) =>
  eventually(
    `a claim after ${fence}`,
    async () => {
      const job = await running(id);
      if (job === undefined) throw new Error('the job ended before it was killed');
      return job.fence > fence && job.checkpoint > job.resumedAt && job;
    },
    30_000,
  );

test(`${KILLS} ends of its process at random moments change nothing: another one goes on`, async () => {
  await setUp();
  const undisturbed = await run(file());
  const expected = await digest();
  expect(undisturbed).toMatchObject({
    state: 'done',
    progress: { total: RECORDS, done: RECORDS },
  });

  await setUp();
  const id = await send(file());
  let fence = 0;
  const resumed: number[] = [];
  for (let i = 0; i < KILLS; i += 1) {
    const job = await claimedAfter(id, fence);
    await delay(Math.random() * 200);
    const victim = pidOf(job);
    // Every third is frozen past its lease instead, and wakes up when another one has the job.
    const isFrozen = i % 3 === 2;
    process.kill(victim, isFrozen ? 'SIGSTOP' : 'SIGKILL');
    const killed = await running(id);
    if (killed === undefined) throw new Error('the job ended before it was killed');
    fence = killed.fence;
    const next = await claimedAfter(id, fence);
    // Unless its primary has replaced it as unresponsive.
    if (isFrozen && isRunning(victim)) process.kill(victim, 'SIGCONT');
    // It goes on where the former one was, and does not begin again.
    expect(next.resumedAt).toBeGreaterThanOrEqual(killed.checkpoint);
    resumed.push(next.resumedAt);
  }
  const job = await ended(id);
  expect(job.state).toBe('done');
  expect(job.progress).toEqual(undisturbed.progress);
  expect(await digest()).toBe(expected);
  expect(resumed).toEqual([...resumed].sort((a, b) => a - b));
}, 300_000);
