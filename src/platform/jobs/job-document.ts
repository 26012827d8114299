import type { Connection } from 'mongoose';
import { Types } from 'mongoose';
import { afterNow } from '../mongo/expressions';
import type { IndexedCollection } from '../mongo/indexed-collection';
import type { Job, JobFailure, JobProgress, JobState } from './job';

export const JOBS_COLLECTION = 'jobs';

export interface JobDocument {
  _id: Types.ObjectId;
  kind: string;
  state: JobState;
  actor: string;
  params: Record<string, unknown>;
  createdAt: Date;
  startedAt?: Date;
  endedAt?: Date;
  fence: number;
  attempts: number;
  holder?: string;
  /** By the database's clock. */
  leaseUntil?: Date;
  /** A failed attempt is not repeated before. */
  notBefore?: Date;
  isCancelling?: boolean;
  cancelledBy?: string;
  checkpoint?: number;
  resumedAt?: number;
  progress: JobProgress;
  failure?: JobFailure;
  revision: number;
  until?: Date;
  /** It has ended, and nobody is known to have been told. */
  untold?: true;
  /** `traceparent` of the request that asked for it, where that was traced. */
  origin?: string;
}

/** Claims and the count of the jobs that have not ended. */
export const jobIndexes: IndexedCollection = {
  collection: JOBS_COLLECTION,
  indexes: [
    { key: { state: 1, createdAt: 1, _id: 1 }, name: 'by_state' },
    { key: { actor: 1, createdAt: -1 }, name: 'by_actor' },
    {
      key: { cancelledBy: 1 },
      name: 'by_canceller',
      partialFilterExpression: { cancelledBy: { $exists: true } },
    },
  ],
};

export const jobsOf = (connection: Connection) =>
  connection.collection<JobDocument>(JOBS_COLLECTION);

export function toJob(found: JobDocument): Job {
  return {
    id: found._id.toHexString(),
    kind: found.kind,
    state: found.state,
    actor: found.actor,
    params: found.params,
    createdAt: found.createdAt,
    startedAt: found.startedAt,
    endedAt: found.endedAt,
    fence: found.fence,
    attempts: found.attempts,
    holder: found.holder,
    isCancelling: found.isCancelling === true,
    cancelledBy: found.cancelledBy,
    checkpoint: found.checkpoint,
    resumedAt: found.resumedAt,
    progress: found.progress,
    failure: found.failure,
    revision: found.revision,
    until: found.until,
    ...(found.origin === undefined ? {} : { origin: found.origin }),
  };
}

/** The states of jobs that have not ended. */
export const ACTIVE = ['receiving', 'queued', 'running'] as const;

export const FINAL = ['done', 'failed', 'cancelled'] as const;

/** The process that ends a job tells of it within this time, or never. */
const TELL_MS = 30_000;
/** Ends that were not told: the process that ended the job has died, or had nobody to tell. */
export const untold = (kinds: readonly string[]) => ({
  state: { $in: [...FINAL] },
  untold: true as const,
  kind: { $in: [...kinds] },
  $expr: { $lt: ['$endedAt', afterNow(-TELL_MS)] },
});

/** Jobs that may be claimed now, by the database's clock. */
export const claimable = (kinds: readonly string[]) => ({
  state: { $in: ['queued' as const, 'running' as const] },
  kind: { $in: [...kinds] },
  $expr: {
    $cond: [
      { $eq: ['$state', 'queued'] },
      { $lte: [{ $ifNull: ['$notBefore', '$$NOW'] }, '$$NOW'] },
      { $lt: ['$leaseUntil', '$$NOW'] },
    ],
  },
});

export const changed = { revision: { $add: ['$revision', 1] } };
export const oid = (id: string) => new Types.ObjectId(id);
