import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import bcrypt from 'bcrypt';
import { type Connection, createConnection, Types } from 'mongoose';
import { type EmbeddedDatabase, startEmbeddedDatabase } from '../dev/embedded-mongo';
import { createAdmin } from '../src/app/prepare';
import { parseConfig } from '../src/kernel/config/config';
import { createUserModel } from '../src/modules/users/model';
import { createUserRepository } from '../src/modules/users/repository';
import { createLogger } from '../src/platform/telemetry/logger';
import { isRunning, type ServiceProcess, startService, until } from '../tests/support/service';
import { pause, QUIET, serviceEntry } from './process-kit';
import type { Scenario, Suite } from './scenario';

const ADMIN = { name: 'Admin', email: 'admin@example.org', password: 'admin of the faults' };
/** One for both imports. */
const HASH = bcrypt.hashSync('the old password', 4);
const LEASE_MS = 4500;
const LINES_PER_KILL = 1500;
const ENV = { JOBS_LEASE_MS: String(LEASE_MS), JOBS_POLL_MS: '100', WORKERS: '2' };

/** A service on a database, both of which may be killed. */
interface Stage {
  readonly database: EmbeddedDatabase;
  readonly connection: Connection;
  service: ServiceProcess;
  start(): Promise<ServiceProcess>;
}

async function withStage<T>(use: (stage: Stage) => Promise<T>): Promise<T> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'faults-import-'));
  const log = createLogger({ level: 'silent' });
  const closing: (() => Promise<unknown>)[] = [
    async () => rmSync(dataDir, { recursive: true, force: true }),
  ];
  try {
    const database = await startEmbeddedDatabase({ mode: 'auto', dataDir, log });
    closing.push(database.close);
    const env = { ...QUIET, ...ENV, MONGODB_URI: database.uri };
    const start = async () => {
      const service = await startService({ entry: serviceEntry, env, timeoutMs: 60_000 });
      closing.push(service.close);
      return service;
    };
    const service = await start();
    const connection = await createConnection(database.uri).asPromise();
    closing.push(() => connection.close());
    const repository = createUserRepository(createUserModel(connection), { timeoutMs: 5000 });
    await createAdmin(repository, parseConfig(env), ADMIN, Date.now());
    return await use({ database, connection, service, start });
  } finally {
    for (const close of closing.reverse()) await close().catch(() => undefined);
  }
}

/** Retried: the service or its database may just have been killed. */
async function call<T>(stage: Stage, route: string, init: RequestInit = {}): Promise<T> {
  return until(
    `an answer of ${route}`,
    async () => {
      try {
        const signal = AbortSignal.timeout(10_000);
        const response = await fetch(stage.service.url + route, { ...init, signal });
        if (response.status >= 500) return undefined;
        if (!response.ok) throw new Error(`${route}: ${response.status} ${await response.text()}`);
        return (await response.json()) as T;
      } catch (error) {
        if (error instanceof Error && error.message.startsWith(route)) throw error;
        return undefined;
      }
    },
    60_000,
  );
}

async function signIn(stage: Stage): Promise<Record<string, string>> {
  const { email, password } = ADMIN;
  const { access_token } = await call<{ access_token: string }>(stage, '/api/auth/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  return { authorization: `Bearer ${access_token}` };
}

/** New users, some lines that change an earlier one, and some that are not taken. */
function file(lines: number): string {
  const all = Array.from({ length: lines }, (_, i) => {
    if (i % 500 === 7) return '{"email":';
    const email = `user${i % 50 === 9 ? i - 1000 : i}@example.org`;
    const user = { email, name: `Name ${i}`, password_hash: HASH, app_metadata: { i } };
    return JSON.stringify(user);
  });
  return `${all.join('\n')}\n`;
}

async function send(stage: Stage, lines: number): Promise<string> {
  const { id } = await call<{ id: string }>(stage, '/api/users/import?conflict=update', {
    method: 'POST',
    headers: { ...(await signIn(stage)), 'content-type': 'application/x-ndjson' },
    body: file(lines),
  });
  return id;
}

/** Of everything about the users but what differs between two jobs. */
async function digest({ connection }: Stage): Promise<string> {
  const hash = createHash('sha256');
  const users = connection.collection('users').find({ role: 'user' });
  for await (const user of users.sort({ emailKey: 1 })) {
    const { _id, createdAt, updatedAt, importedBy, ...rest } = user;
    hash.update(JSON.stringify([rest, importedBy?.line]));
  }
  return hash.digest('hex');
}

interface State {
  readonly state: string;
  readonly progress: Readonly<Record<string, number>>;
  readonly fence: number;
  readonly holder: string;
  readonly checkpoint: number;
}

async function stateOf({ connection }: Stage, id: string): Promise<State> {
  const filter = { _id: new Types.ObjectId(id) };
  return until(
    'the job',
    async () => {
      const job = await connection
        .collection('jobs')
        .findOne(filter)
        .catch(() => null);
      if (job === null) return undefined;
      const { state, progress = {}, fence = 0, holder = '', checkpoint = 0 } = job;
      return { state, progress, fence, holder, checkpoint };
    },
    60_000,
  );
}

const ended = (stage: Stage, id: string) =>
  until(
    'the end of the job',
    async () => {
      const job = await stateOf(stage, id);
      return !['queued', 'running'].includes(job.state) && job;
    },
    600_000,
  );

const VICTIMS = ['worker', 'primary', 'database'] as const;

async function kill(stage: Stage, victim: (typeof VICTIMS)[number], { holder }: State) {
  if (victim === 'database') {
    const pid = stage.database.pid();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await until(
      'another engine',
      () => stage.database.state() === 'up' && stage.database.pid() !== pid,
      30_000,
    );
    return;
  }
  if (victim === 'worker') {
    const pid = Number(/ (\d+) /.exec(holder)?.[1] ?? 0);
    if (pid > 1 && isRunning(pid)) process.kill(pid, 'SIGKILL');
    return;
  }
  process.kill(stage.service.pid, 'SIGKILL');
  await stage.service.close();
  stage.service = await stage.start();
}

const kills: Scenario = {
  name: 'kills',
  title: 'an import whose worker, primary or database is killed at random points, in turn',
  goal: 'the job ends; users and counts equal those of an undisturbed import',
  async run({ quick }) {
    const count = quick ? 3 : 20;
    const lines = count * LINES_PER_KILL;
    const undisturbed = await withStage(async (stage) => {
      const { state, progress } = await ended(stage, await send(stage, lines));
      return { state, progress, digest: await digest(stage) };
    });
    return withStage(async (stage) => {
      const id = await send(stage, lines);
      const killed = { worker: 0, primary: 0, database: 0 };
      for (let n = 0; n < count; n += 1) {
        const before = await stateOf(stage, id);
        await until(
          'progress',
          async () => {
            const job = await stateOf(stage, id);
            return job.checkpoint > before.checkpoint || job.state === 'done';
          },
          60_000,
        );
        await pause(Math.random() * 400);
        const job = await stateOf(stage, id);
        if (job.state === 'done') break;
        const victim = VICTIMS[n % VICTIMS.length] ?? 'worker';
        await kill(stage, victim, job);
        killed[victim] += 1;
      }
      const { state, progress, fence } = await ended(stage, id);
      const isSame = (await digest(stage)) === undisturbed.digest;
      const isCounted = JSON.stringify(progress) === JSON.stringify(undisturbed.progress);
      const total = killed.worker + killed.primary + killed.database;
      return {
        met: state === 'done' && isSame && isCounted && total === count,
        figures: {
          lines,
          'worker killed': killed.worker,
          'primary killed': killed.primary,
          'database killed': killed.database,
          claims: fence,
          'same users': isSame ? 'yes' : 'no',
          'same counts': isCounted ? 'yes' : 'no',
        },
      };
    });
  },
};

export const suite: Suite = {
  name: 'import',
  title: 'Import',
  setting:
    'One service of two workers and its MongoDB (the embedded engine, restarted by its supervisor), one import of users with hashes.',
  scenarios: [kills],
};
