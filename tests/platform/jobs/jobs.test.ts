import { setTimeout as delay } from 'node:timers/promises';
import { createConnection, Types } from 'mongoose';
import { type Job, JobFailedError, LeaseLostError } from '../../../src/platform/jobs/job';
import { createTellEnd, type TellEnd } from '../../../src/platform/jobs/job-ends';
import { createJobFiles } from '../../../src/platform/jobs/job-files';
import type { Work } from '../../../src/platform/jobs/job-run';
import { type JobRunner, startJobRunner } from '../../../src/platform/jobs/job-runner';
import {
  createJobStore,
  type JobStore,
  type JobStoreOptions,
} from '../../../src/platform/jobs/job-store';
import { sweepJobs } from '../../../src/platform/jobs/job-sweep';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { eventually } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';

const log = createLogger({ level: 'silent' });
let mongo: TestMongo;
let connection: Awaited<ReturnType<ReturnType<typeof createConnection>['asPromise']>>;
const runners: JobRunner[] = [];

beforeAll(async () => {
  mongo = await startTestMongo();
  connection = await createConnection(mongo.uri).asPromise();
});
beforeEach(async () => {
  await connection.collection('jobs').deleteMany({});
  await connection.collection('job_files').deleteMany({});
});
afterEach(async () => {
  await Promise.all(runners.splice(0).map((one) => one.close()));
});
afterAll(async () => {
  await connection?.close();
  await mongo?.close();
});

const LEASE_MS = 1000;
const storeWith = (options: Partial<JobStoreOptions> = {}) =>
  createJobStore(connection, {
    ...{ leaseMs: LEASE_MS, activeMax: 10, keepMs: 60_000, timeoutMs: 2000 },
    ...options,
  });

async function queued(store = storeWith()): Promise<Job> {
  const { id } = await store.receive({ kind: 'test', actor: 'cli:test', params: {} });
  const job = await store.queue(id, { rows: '$literal', deep: { a: [1] } }, { total: 5 });
  if (job === null) throw new Error('the job was not queued');
  return job;
}

const TOLD: TellEnd = ({ id }) => storeWith().told(id);

function run(
  work: Work,
  { leaseMs = LEASE_MS, store = storeWith({ leaseMs }), pollMs = 20, tell = TOLD } = {},
): JobRunner {
  const runner = startJobRunner({
    ...{ store, leaseMs, log, pollMs, closeTimeoutMs: 5000, holder: 'this process' },
    ...{ handlers: new Map([['test', { work }]]), tell },
    files: { remove: async () => undefined },
  });
  runners.push(runner);
  return runner;
}

/** Does it at the first call alone. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= work();
    return done;
  };
}

const inState = (id: string, state: Job['state']) =>
  eventually(`the job is ${state}`, async () => {
    const job = await storeWith().find(id);
    return job?.state === state ? job : undefined;
  });

test('a job that is queued while the runner looks is found at once', async () => {
  const store = storeWith();
  let looks = 0;
  let goOn = () => {};
  const answered = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const claim: typeof store.claim = async (...args) => {
    const found = await store.claim(...args);
    looks += 1;
    if (looks === 1) await answered;
    return found;
  };
  const runner = run(async () => undefined, { store: { ...store, claim }, pollMs: 60_000 });
  await eventually('the first look', () => looks === 1);
  const { id } = await queued();
  runner.nudge();
  goOn();
  await inState(id, 'done');
});

async function cancel(id: string, by = 'first') {
  const cancelled = await storeWith().cancel(id, by);
  return { ...cancelled?.job, isAsked: cancelled?.isAsked };
}

describe('a lease', () => {
  test('is held for its whole time before the first renewal', async () => {
    await queued();
    let held: unknown = 'not run';
    run(async (job) => {
      await delay(0.22 * LEASE_MS);
      held = undefined;
      job.assertHeld(LEASE_MS / 3);
      held = 'held';
    });
    await eventually('the end of the work', () => held !== 'not run');
    await eventually('the assertion', () => held === 'held', 1000);
  });

  test('is given to one of many claims at the same time', async () => {
    const store = storeWith();
    await queued(store);
    const claims = await Promise.all(
      Array.from({ length: 8 }, (_, i) => store.claim(['test'], `process ${i}`)),
    );
    expect(claims.filter((one) => one !== null)).toHaveLength(1);
    expect(await store.claim(['other'], 'process')).toBeNull();
  });

  test('that ran out is taken over, and nothing that the former holder writes is accepted', async () => {
    const store = storeWith({ leaseMs: 50 });
    const { id } = await queued(store);
    const former = await store.claim(['test'], 'frozen');
    await delay(80);
    const next = await storeWith().claim(['test'], 'next');
    if (former === null || next === null) throw new Error('not claimed');
    expect([former.fence, next.fence]).toEqual([1, 2]);
    await storeWith().checkpoint(next, 7, { done: 7 });

    await expect(store.checkpoint(former, 3, { done: 3 })).rejects.toThrow(LeaseLostError);
    await expect(store.renew(former)).rejects.toThrow(LeaseLostError);
    await expect(store.finish(former, 'done')).rejects.toThrow(LeaseLostError);
    await expect(store.handBack(former)).rejects.toThrow(LeaseLostError);
    await expect(store.retryLater(former, 0)).rejects.toThrow(LeaseLostError);
    const kept = await store.find(id);
    expect(kept).toMatchObject({ state: 'running', holder: 'next', checkpoint: 7, fence: 2 });
    expect(kept?.progress).toEqual({ done: 7 });
  });

  test('is renewed while the work goes on, however long it takes', async () => {
    const starts: number[] = [];
    const { id } = await queued();
    run(async ({ job }) => {
      starts.push(job.fence);
      await delay(2.5 * LEASE_MS);
    });
    const other = storeWith();
    for (let i = 0; i < 10; i += 1) {
      await delay(LEASE_MS / 5);
      expect(await other.claim(['test'], 'other')).toBeNull();
    }
    await inState(id, 'done');
    expect(starts).toEqual([1]);
  });
});

/** How a store could be wrong. */
type Spoil = (store: JobStore) => JobStore;
const RIGHT: Spoil = (store) => store;

describe('fault "lease without fencing"', () => {
  /** The writes of a frozen former holder that were accepted. */
  async function acceptedLate(spoil: Spoil): Promise<string[]> {
    const store = storeWith({ leaseMs: 50 });
    await queued(store);
    const former = await store.claim(['test'], 'frozen');
    await delay(80);
    const next = await storeWith().claim(['test'], 'next');
    if (former === null || next === null) throw new Error('not claimed');
    const { renew, checkpoint, finish } = spoil(store);
    const accepted: string[] = [];
    for (const [name, write] of [
      ['renew', () => renew(former)],
      ['checkpoint', () => checkpoint(former, 1, {})],
      ['finish', () => finish(former, 'done')],
    ] as const) {
      const isTaken = await write().then(
        () => true,
        (error: unknown) => !(error instanceof LeaseLostError),
      );
      if (isTaken) accepted.push(name);
    }
    return accepted;
  }

  test('no write of a former holder is accepted', async () => {
    expect(await acceptedLate(RIGHT)).toEqual([]);
  });

  test('planted: writes that name no claim of their own are caught', async () => {
    const unfenced: Spoil = (store) => {
      const present = async ({ id }: Pick<Job, 'id'>) => ({
        id,
        fence: (await store.find(id))?.fence ?? 0,
      });
      return {
        ...store,
        renew: async (lease) => store.renew(await present(lease)),
        checkpoint: async (lease, ...rest) => store.checkpoint(await present(lease), ...rest),
        finish: async (lease, ...rest) => store.finish(await present(lease), ...rest),
      };
    };
    expect(await acceptedLate(unfenced)).toEqual(['renew', 'checkpoint', 'finish']);
  });
});

describe('fault "job without resume"', () => {
  const PARTS = 5;

  /** The parts that were done, of a job whose first process dies after the third. */
  async function partsDone(spoil: Spoil): Promise<number[]> {
    const dead = storeWith({ leaseMs: 50 });
    const { id } = await queued(dead);
    const claimed = await dead.claim(['test'], 'dead');
    if (claimed === null) throw new Error('not claimed');
    const done = [0, 1, 2];
    await dead.checkpoint(claimed, done.length, {});
    const work: Work = async ({ job, checkpoint }) => {
      for (let n = job.checkpoint ?? 0; n < PARTS; n += 1) {
        done.push(n);
        await checkpoint(n + 1, {});
      }
    };
    run(work, { store: spoil(storeWith()) });
    await inState(id, 'done');
    return done;
  }

  test('each part is done once when any process dies', async () => {
    expect(await partsDone(RIGHT)).toEqual([0, 1, 2, 3, 4]);
  });

  test('planted: a claim that begins again is caught', async () => {
    const forgetful: Spoil = (store) => ({
      ...store,
      claim: async (...args) => {
        const job = await store.claim(...args);
        return job && { ...job, checkpoint: undefined, resumedAt: undefined };
      },
    });
    expect(await partsDone(forgetful)).toEqual([0, 1, 2, 0, 1, 2, 3, 4]);
  });
});

describe('a run', () => {
  test('goes on from the last checkpoint after the death of its process', async () => {
    const dead = storeWith({ leaseMs: 50 });
    const { id } = await queued(dead);
    const claimed = await dead.claim(['test'], 'dead');
    if (claimed === null) throw new Error('not claimed');
    await dead.checkpoint(claimed, 3, { done: 3 });

    const seen: unknown[] = [];
    run(async ({ job, checkpoint }) => {
      seen.push(job.checkpoint, job.resumedAt, job.progress, job.params);
      await checkpoint(5, { done: 5 });
    });
    const done = await inState(id, 'done');
    const params = { rows: '$literal', deep: { a: [1] } };
    expect(seen).toEqual([3, 3, { done: 3 }, params]);
    expect(done).toMatchObject({ checkpoint: 5, progress: { done: 5 }, fence: 2 });
    expect(done.holder).toBeUndefined();
  });

  test('notices that it was frozen past its lease before it writes again', async () => {
    const { id } = await queued();
    let refused: unknown;
    run(async ({ assertHeld, signal }) => {
      // The event loop stands still: no heartbeat, as under SIGSTOP.
      const end = performance.now() + 1.5 * LEASE_MS;
      while (performance.now() < end);
      try {
        assertHeld(0);
      } catch (error) {
        refused = error;
        throw error;
      }
      signal.throwIfAborted();
    });
    await eventually('the refusal', () => refused !== undefined);
    expect(refused).toBeInstanceOf(LeaseLostError);
    expect((await storeWith().find(id))?.state).not.toBe('failed');
  });

  test('is handed back at once when its process closes', async () => {
    const { id } = await queued();
    let started = false;
    const runner = run(async ({ signal, checkpoint }) => {
      await checkpoint(1, { done: 1 });
      started = true;
      await delay(60_000, undefined, { signal });
    });
    await eventually('the start', () => started);
    await runner.close();
    const job = await storeWith().find(id);
    expect(job).toMatchObject({ state: 'queued', checkpoint: 1, attempts: 0 });
    expect((await storeWith().claim(['test'], 'next'))?.resumedAt).toBe(1);
  });

  test('is cancelled at its next checkpoint; a job that waits, at once', async () => {
    const running = await queued();
    let count = 0;
    run(async ({ checkpoint }) => {
      for (;;) {
        await checkpoint(count, {});
        count += 1;
      }
    });
    await inState(running.id, 'running');
    const waiting = await queued();
    expect(await cancel(waiting.id)).toMatchObject({ state: 'cancelled', isAsked: true });
    expect(await cancel(running.id)).toMatchObject({ state: 'running', isCancelling: true });
    const ended = await inState(running.id, 'cancelled');
    expect(ended.endedAt).toBeInstanceOf(Date);
    // What has ended stays as it is.
    const again = { revision: ended.revision, cancelledBy: 'first', isAsked: false };
    expect(await cancel(running.id, 'second')).toMatchObject(again);
    expect(await storeWith().cancel('0'.repeat(24), 'first')).toBeNull();
  });

  test('that fails for good is not repeated; another is, five times without a checkpoint', async () => {
    const fails: Work = async () => {
      throw new JobFailedError('bad_input', 'The input is bad.');
    };
    const bad = await queued();
    const runner = run(fails);
    const failed = await inState(bad.id, 'failed');
    expect(failed.failure).toEqual({ code: 'bad_input', message: 'The input is bad.' });
    expect(failed.fence).toBe(1);
    await runner.close();

    const store = storeWith({ leaseMs: 1 });
    const { id } = await queued(store);
    for (let i = 0; i < 5; i += 1) {
      await eventually('a claim', async () => (await store.claim(['test'], 'dies')) !== null);
      await delay(5);
    }
    run(fails);
    const ended = await inState(id, 'failed');
    expect(ended.failure?.code).toBe('too_many_attempts');
    expect(ended.fence).toBe(6);
  });

  test('whose end for good is lost with its process counts its last part once', async () => {
    const store = storeWith({ leaseMs: 300 });
    const { id } = await queued(store);
    const work: Work = async ({ job, checkpoint }) => {
      const done = job.progress['done'] ?? 0;
      if (job.checkpoint === undefined) await checkpoint(1, { total: 5, done: 2 });
      const last = { total: 5, done: job.checkpoint === undefined ? 3 : done + 1 };
      throw new JobFailedError('bad_input', 'The input is bad.', last);
    };
    let ends = 0;
    const finish: typeof store.finish = async (...args) => {
      ends += 1;
      // As a process that is killed right before.
      if (ends === 1) throw new Error('killed');
      return store.finish(...args);
    };
    run(work, { leaseMs: 300, store: { ...store, finish } });
    const failed = await inState(id, 'failed');
    expect(failed).toMatchObject({ fence: 2, checkpoint: 1, progress: { total: 5, done: 3 } });
  });

  test('that fails for a passing reason is tried again later', async () => {
    const { id } = await queued();
    run(async ({ job }) => {
      if (job.fence === 1) throw new Error('the database is away');
    });
    const done = await inState(id, 'done');
    expect(done.fence).toBe(2);
  });
});

describe('a job that is asked to stop', () => {
  test.each(['handBack', 'retryLater'] as const)(
    'while its holder gives it back (%s) is being cancelled',
    async (how) => {
      const { id } = await queued();
      const store = storeWith();
      const claimed = await store.claim(['test'], 'this process');
      if (claimed === null) throw new Error('not claimed');
      // Whatever a cancel looks at first, the job goes back between its commands.
      const givesBack = once(() =>
        how === 'handBack' ? store.handBack(claimed) : store.retryLater(claimed, 60_000),
      );
      const jobs = connection.collection('jobs');
      const interleaved: typeof jobs.findOneAndUpdate = async (...args: unknown[]) => {
        const found = await Reflect.apply(jobs.findOneAndUpdate, jobs, args);
        await givesBack();
        return found;
      };
      const between = new Proxy(connection, {
        get: (target, name) =>
          name !== 'collection'
            ? Reflect.get(target, name)
            : (...args: Parameters<typeof target.collection>) =>
                new Proxy(target.collection(...args), {
                  get: (found, member) =>
                    member === 'findOneAndUpdate' ? interleaved : Reflect.get(found, member),
                }),
      });
      const options = { leaseMs: LEASE_MS, activeMax: 10, keepMs: 60_000, timeoutMs: 2000 };
      const cancelled = await createJobStore(between, options).cancel(id, 'first');
      expect(cancelled?.isAsked).toBe(true);
      expect(await store.find(id)).toMatchObject({ isCancelling: true, cancelledBy: 'first' });
      expect(await cancel(id, 'second')).toMatchObject({ state: 'cancelled' });
      expect((await store.find(id))?.cancelledBy).toBe('first');
    },
  );
});

test('a user that is removed is named by no job that it has cancelled', async () => {
  const { id } = await queued();
  await cancel(id, 'a user');
  await storeWith().renameActor('a user', 'removed:x');
  const job = await storeWith().find(id);
  expect([job?.actor, job?.cancelledBy]).toEqual(['cli:test', 'removed:x']);
});

describe('the end of a job', () => {
  const endedLongAgo = (id: string) =>
    connection
      .collection('jobs')
      .updateOne({ _id: new Types.ObjectId(id) }, { $set: { endedAt: new Date(0) } });
  const files = { remove: async () => undefined };

  function teller() {
    const told: string[] = [];
    const ended = ({ id, state }: Job) => told.push(`${id} ${state}`);
    const handlers = new Map([['test', { work: async () => undefined, ended }]]);
    const store = storeWith();
    const tell = createTellEnd({ handlers, store, stored: async () => undefined });
    const sweep = () => sweepJobs({ ...{ store, files, kinds: ['test'], tell, log } });
    return { told, tell, sweep };
  }

  test('is announced once, by the process that ended it', async () => {
    const { told, tell, sweep } = teller();
    const { id } = await queued();
    const runner = run(async () => undefined, { tell });
    await inState(id, 'done');
    await runner.close();
    await endedLongAgo(id);
    await sweep();
    expect(told).toEqual([`${id} done`]);
  });

  test('is told by the next sweep where its process died before it could', async () => {
    const { told, sweep } = teller();
    const store = storeWith();
    const { id } = await queued();
    const claimed = await store.claim(['test'], 'dies');
    if (claimed === null) throw new Error('not claimed');
    await store.finish(claimed, 'failed', { failure: { code: 'x', message: 'x' } });
    await sweep();
    // It may be about to.
    expect(told).toEqual([]);
    await endedLongAgo(id);
    await sweep();
    await sweep();
    expect(told).toEqual([`${id} failed`]);
  });

  test('is told by the sweep where the job was cancelled before anybody held it', async () => {
    const { told, sweep } = teller();
    const { id } = await queued();
    await cancel(id);
    await endedLongAgo(id);
    await sweep();
    expect(told).toEqual([`${id} cancelled`]);
  });

  test('is announced again where its events could not be stored', async () => {
    const { told, sweep } = teller();
    const broken = createTellEnd({
      handlers: new Map(),
      store: storeWith(),
      stored: () => Promise.reject(new Error('the database is away')),
    });
    const { id } = await queued();
    run(async () => undefined, { tell: broken });
    await inState(id, 'done');
    await endedLongAgo(id);
    await sweep();
    expect(told).toEqual([`${id} done`]);
  });
});

test('the number of jobs that have not ended is limited, however many are sent at once', async () => {
  const store = storeWith({ activeMax: 3 });
  const sent = await Promise.allSettled(
    Array.from({ length: 12 }, () => store.receive({ kind: 'test', actor: 'a', params: {} })),
  );
  const refused = sent.filter((one) => one.status === 'rejected');
  expect(refused.every(({ reason }) => reason.code === 'too_many_jobs')).toBe(true);
  expect(await connection.collection('jobs').countDocuments()).toBe(sent.length - refused.length);
  expect(sent.length - refused.length).toBeLessThanOrEqual(3);
  const one = await store.receive({ kind: 'test', actor: 'a', params: {} }).catch(() => undefined);
  // Nobody sees a job whose input has not arrived.
  if (one !== undefined) expect(await store.find(one.id)).toBeNull();
});

describe('files', () => {
  const secrets = ['kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ'] as const;
  const files = (keepMs = 60_000) =>
    createJobFiles(connection, { secrets: [...secrets], timeoutMs: 2000, keepMs });
  const id = 'a'.repeat(24);

  test('are read as they were written, in order, and are not readable in the database', async () => {
    const { put, get, numbersAfter } = files();
    const data = Buffer.from('a password: correct horse battery\n'.repeat(1000));
    for (const n of [2, 0, 1, 10]) await put(id, 'report', n, { data, meta: { lines: n } }, 1);
    await put(id, 'input', 0, { data, meta: {} }, 1);
    expect(await numbersAfter(id, 'report', -1, 100)).toEqual([0, 1, 2, 10]);
    expect(await numbersAfter(id, 'report', 1, 1)).toEqual([2]);
    const part = await get(id, 'report', 2);
    expect(part?.data.equals(data)).toBe(true);
    expect(part?.meta).toEqual({ lines: 2 });
    expect(await get(id, 'report', 3)).toBeNull();
    const stored = await connection.collection('job_files').find().toArray();
    expect(JSON.stringify(stored)).not.toContain('password');
    expect(stored.every(({ encrypted }) => encrypted.data.length() < 2000)).toBe(true);
  });

  test('outlive their job, as long as it is kept, and as long as any job takes', async () => {
    const day = 86_400_000;
    const untilOf = async (keepMs: number) => {
      await files(keepMs).put(id, 'report', 0, { data: Buffer.from('x'), meta: {} }, 1);
      const part = await connection.collection('job_files').findOne();
      return part?.['until'].getTime() - Date.now();
    };
    expect(await untilOf(365 * day)).toBeGreaterThan(394 * day);
    expect(await untilOf(day)).toBeGreaterThan(30 * day);
  });

  test('a frozen former holder does not replace the part of a later one', async () => {
    const { put, get } = files();
    const part = (text: string) => ({ data: Buffer.from(text), meta: {} });
    await put(id, 'report', 0, part('first'), 1);
    await put(id, 'report', 0, part('second'), 2);
    await put(id, 'report', 0, part('late'), 1);
    expect((await get(id, 'report', 0))?.data.toString()).toBe('second');
  });

  test('an upload whose time has run out is not taken once the sweep has seen it', async () => {
    const store = storeWith();
    const { id } = await store.receive({ kind: 'test', actor: 'a', params: {} });
    await connection.collection('jobs').updateOne({}, { $set: { leaseUntil: new Date(0) } });
    expect(await store.expired(10)).toEqual([id]);
    expect(await store.stillReceiving(id)).toBe(false);
    expect(await store.queue(id, {}, {})).toBeNull();
  });

  test('a sweep removes broken uploads and expired jobs, and nothing else', async () => {
    const store = storeWith({ keepMs: 0 });
    const broken = await store.receive({ kind: 'test', actor: 'a', params: {} });
    const uploading = await store.receive({ kind: 'test', actor: 'a', params: {} });
    const waiting = await queued();
    const old = await queued();
    expect((await store.cancel(old.id, 'a'))?.job.state).toBe('cancelled');
    const kept = await queued();
    await storeWith().cancel(kept.id, 'a');
    await connection
      .collection('jobs')
      .updateOne({ state: 'receiving' }, { $set: { leaseUntil: new Date(0) } });
    const part = { data: Buffer.from('x'), meta: {} };
    const all = [broken, uploading, waiting, old, kept];
    for (const job of all) await files().put(job.id, 'input', 0, part, 0);
    await delay(5);
    const sweep = { store, files: files(), kinds: ['test'], tell: TOLD, log };
    expect(await sweepJobs(sweep)).toBe(2);
    const left = await connection.collection('jobs').distinct('_id');
    const ids = [uploading, waiting, kept].map((job) => job.id);
    expect(left.map(String).sort()).toEqual(ids.sort());
    const parts = await connection.collection('job_files').distinct('_id');
    expect(parts.map((one) => String(one).slice(0, 24)).sort()).toEqual(ids);
    expect(await store.stillReceiving(uploading.id)).toBe(true);
    expect(await store.queue(broken.id, {}, {})).toBeNull();
  });
});
