import { type Connection, Types } from 'mongoose';
import { Problem } from '../../kernel/errors';
import { boundCalls, DRIVER_GRACE_MS } from '../mongo/bounded';
import { afterNow } from '../mongo/expressions';
import { NO_TRACING, type Tracing } from '../telemetry/tracing';
import { type Job, type JobFailure, type JobProgress, LeaseLostError } from './job';
import { ACTIVE, changed, claimable, FINAL, jobsOf, oid, toJob, untold } from './job-document';

/** The claim of one process on one job. */
type Lease = Pick<Job, 'id' | 'fence'>;

interface NewJob {
  readonly kind: string;
  readonly actor: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Further members that the end of a job stores in the same write. */
interface JobEnd {
  readonly failure?: JobFailure | undefined;
  readonly progress?: JobProgress | undefined;
}

/**
 * The jobs in MongoDB. Every change is one atomic operation on one document. Every write of a
 * holder names the fencing number of its claim: a process that was frozen while another claimed
 * the job changes nothing (docs/adr/0026-jobs.md).
 */
export interface JobStore {
  /** A job whose input is on its way. Throws 429 `too_many_jobs`. */
  receive(job: NewJob): Promise<Job>;
  /** The input is still on its way. False: the job was swept. */
  stillReceiving(id: string): Promise<boolean>;
  /** The input is complete. Null: the job was swept. */
  queue(id: string, params: NewJob['params'], progress: JobProgress): Promise<Job | null>;
  /** The oldest job that is free, or whose lease has run out. */
  claim(kinds: readonly string[], holder: string): Promise<Job | null>;
  /** Throws LeaseLostError. Resolves with the job as it is now. */
  renew(lease: Lease): Promise<Job>;
  /** As `renew`; the next attempt begins at `checkpoint`. */
  checkpoint(lease: Lease, checkpoint: number, progress: JobProgress): Promise<Job>;
  /** Throws LeaseLostError. */
  finish(lease: Lease, state: 'done' | 'failed' | 'cancelled', end?: JobEnd): Promise<Job>;
  /** Another process may go on at once. This attempt does not count. */
  handBack(lease: Lease): Promise<void>;
  /** The attempt has failed: the next one begins after `delayMs`. */
  retryLater(lease: Lease, delayMs: number): Promise<void>;
  find(id: string): Promise<Job | null>;
  /** Those of these jobs that have not ended. */
  active(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** The latest jobs that an actor has asked for. */
  ofActor(actor: string): Promise<Job[]>;
  /** Puts another name in the place of a user that was removed. */
  renameActor(actor: string, name: string): Promise<void>;
  /**
   * Asks the holder to stop; a job without a holder ends at once. `isAsked`: by this call; the job
   * had not ended, nor been asked before.
   */
  cancel(id: string, by: string): Promise<{ readonly job: Job; readonly isAsked: boolean } | null>;
  /** Ended jobs of these kinds of whose end nobody was told in time. */
  untold(kinds: readonly string[], limit: number): Promise<readonly Job[]>;
  /** Everybody was told that the job has ended. */
  told(id: string): Promise<void>;
  /** Jobs to remove: kept long enough, or their upload was broken off, which is cancelled. */
  expired(limit: number): Promise<readonly string[]>;
  remove(id: string): Promise<void>;
}

export interface JobStoreOptions {
  readonly leaseMs: number;
  /** Jobs that have not ended, over all processes. */
  readonly activeMax: number;
  readonly keepMs: number;
  readonly timeoutMs: number;
  readonly tracing?: Tracing | undefined;
}

const tooManyJobs = () =>
  new Problem(429, 'too_many_jobs', 'Too many requests', {
    detail: 'Too many jobs are waiting. Try again when one has ended.',
    headers: { 'Retry-After': '60' },
  });

export const OF_ACTOR_MAX = 1000;
/** A broken upload is swept after this time. */
const RECEIVE_LEASE_MS = 120_000;

const literal = (value: unknown) => ({ $literal: value });
const NO_HOLDER = ['holder', 'leaseUntil', 'notBefore'] as const;

export function createJobStore(connection: Connection, options: JobStoreOptions): JobStore {
  const { leaseMs, activeMax, keepMs, timeoutMs, tracing = NO_TRACING } = options;
  const jobs = () => jobsOf(connection);
  const bounded = { maxTimeMS: timeoutMs } as const;
  const after = { returnDocument: 'after', ...bounded } as const;

  /** One atomic change; null, and nothing done, where the filter does not hold. */
  async function change(
    filter: Record<string, unknown>,
    set: Record<string, unknown>,
    unset: readonly string[] = [],
  ): Promise<Job | null> {
    const stages = [
      { $set: { ...set, ...changed } },
      ...(unset.length > 0 ? [{ $unset: [...unset] }] : []),
    ];
    const found = await jobs().findOneAndUpdate(filter, stages, after);
    return found === null ? null : toJob(found);
  }

  async function asHolder(
    { id, fence }: Lease,
    set: Record<string, unknown>,
    unset?: readonly string[],
  ): Promise<Job> {
    const job = await change({ _id: oid(id), fence, state: 'running' }, set, unset);
    if (job === null) throw new LeaseLostError(`the claim ${fence} on the job ${id} is over`);
    return job;
  }

  const ended = { endedAt: '$$NOW', until: afterNow(keepMs), untold: true };

  /** Each is what it was where the job has a holder. */
  const endedIfQueued = Object.fromEntries(
    Object.entries({ state: 'cancelled', ...ended }).map(([field, value]) => [
      field,
      { $cond: [{ $eq: ['$state', 'queued'] }, value, `$${field}`] },
    ]),
  );

  const store: JobStore = {
    async receive({ kind, actor, params }) {
      const _id = new Types.ObjectId();
      const origin = tracing.origin();
      const traced = origin === undefined ? {} : { origin };
      const fields = { kind, state: 'receiving', actor, params, progress: {}, ...traced };
      const set = { $literal: { ...fields, fence: 0, attempts: 0, revision: 1 } };
      const times = { createdAt: '$$NOW', leaseUntil: afterNow(RECEIVE_LEASE_MS) };
      const found = await jobs().findOneAndUpdate(
        { _id },
        [{ $replaceWith: { $mergeObjects: [{ _id }, set, times] } }],
        { upsert: true, ...after },
      );
      // Inserted first, then counted: concurrent requests see each other, so the limit holds.
      const active = await jobs().countDocuments({ state: { $in: [...ACTIVE] } }, bounded);
      if (active <= activeMax && found !== null) return toJob(found);
      await jobs().deleteOne({ _id }, bounded);
      throw tooManyJobs();
    },
    async stillReceiving(id) {
      const filter = { _id: oid(id), state: 'receiving' };
      return (await change(filter, { leaseUntil: afterNow(RECEIVE_LEASE_MS) })) !== null;
    },
    queue: (id, params, progress) =>
      change(
        { _id: oid(id), state: 'receiving' },
        { state: 'queued', params: { $literal: params }, progress: { $literal: progress } },
        NO_HOLDER,
      ),
    async claim(kinds, holder) {
      const set = {
        state: 'running',
        fence: { $add: ['$fence', 1] },
        attempts: { $add: ['$attempts', 1] },
        holder: { $literal: holder },
        leaseUntil: afterNow(leaseMs),
        startedAt: { $ifNull: ['$startedAt', '$$NOW'] },
        resumedAt: { $ifNull: ['$checkpoint', '$$REMOVE'] },
        ...changed,
      };
      const found = await jobs().findOneAndUpdate(claimable(kinds), [{ $set: set }], {
        sort: { createdAt: 1, _id: 1 },
        ...after,
      });
      return found === null ? null : toJob(found);
    },
    renew: (lease) => asHolder(lease, { leaseUntil: afterNow(leaseMs) }),
    checkpoint: (lease, checkpoint, progress) =>
      asHolder(lease, {
        checkpoint,
        progress: { $literal: progress },
        // The job makes progress: this part of its input did not kill the earlier attempt.
        attempts: 0,
        leaseUntil: afterNow(leaseMs),
      }),
    finish: (lease, state, { failure, progress } = {}) =>
      asHolder(
        lease,
        {
          ...{ state, ...ended },
          ...(failure && { failure: { $literal: failure } }),
          ...(progress && { progress: { $literal: progress } }),
        },
        NO_HOLDER,
      ),
    async handBack(lease) {
      const attempts = { $max: [0, { $subtract: ['$attempts', 1] }] };
      await asHolder(lease, { state: 'queued', attempts }, NO_HOLDER);
    },
    async retryLater(lease, delayMs) {
      await asHolder(lease, { state: 'queued', notBefore: afterNow(delayMs) }, [
        'holder',
        'leaseUntil',
      ]);
    },
    async find(id) {
      const found = await jobs().findOne({ _id: oid(id) }, bounded);
      return found === null || found.state === 'receiving' ? null : toJob(found);
    },
    async active(ids) {
      const filter = { _id: { $in: ids.map(oid) }, state: { $in: [...ACTIVE] } };
      const found = jobs().find(filter, { projection: { _id: 1 }, ...bounded });
      return new Set((await found.toArray()).map(({ _id }) => _id.toHexString()));
    },
    async ofActor(actor) {
      const found = jobs().find({ actor }, bounded).sort({ createdAt: -1 }).limit(OF_ACTOR_MAX);
      return (await found.toArray()).map(toJob);
    },
    async renameActor(actor, name) {
      // Handlers keep the permissions of the actor, with its id, as `params.actor`.
      const named = { $mergeObjects: ['$params.actor', { userId: name }] };
      const params = {
        $cond: [
          { $eq: ['$params.actor.userId', actor] },
          { $mergeObjects: ['$params', { actor: named }] },
          '$params',
        ],
      };
      await jobs().updateMany({ actor }, [{ $set: { actor: name, params } }], bounded);
      const cancelled = { cancelledBy: actor };
      await jobs().updateMany(cancelled, [{ $set: { cancelledBy: name } }], bounded);
    },
    async cancel(id, by) {
      // In one update: between two the holder could hand the job back, and neither would find it.
      const open = [{ state: 'queued' }, { state: 'running', isCancelling: { $ne: true } }];
      const set = { isCancelling: true, cancelledBy: { $ifNull: ['$cancelledBy', literal(by)] } };
      const asked = await change({ _id: oid(id), $or: open }, { ...set, ...endedIfQueued });
      const job = asked ?? (await store.find(id));
      return job && { job, isAsked: asked !== null };
    },
    async untold(kinds, limit) {
      const found = await jobs()
        .find(untold(kinds), { limit, ...bounded })
        .toArray();
      return found.map(toJob);
    },
    async told(id) {
      await jobs().updateOne({ _id: oid(id) }, [{ $unset: ['untold'] }], bounded);
    },
    async expired(limit) {
      const isOver = (field: string) => ({ $expr: { $lt: [field, '$$NOW'] } });
      // In one update each: an upload that is completed meanwhile was queued before, or is refused.
      const broken = { state: 'cancelled', endedAt: '$$NOW', until: afterNow(-1), ...changed };
      const receiving = { state: 'receiving' as const, ...isOver('$leaseUntil') };
      await jobs().updateMany(receiving, [{ $set: broken }], bounded);
      const options = { projection: { _id: 1 }, limit, ...bounded } as const;
      const ends = { state: { $in: [...FINAL] } };
      const kept = await jobs()
        .find({ ...ends, ...isOver('$until') }, options)
        .toArray();
      return kept.map(({ _id }) => _id.toHexString());
    },
    async remove(id) {
      await jobs().deleteOne({ _id: oid(id) }, bounded);
    },
  };
  return boundCalls(store, timeoutMs + DRIVER_GRACE_MS);
}
