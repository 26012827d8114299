/** `receiving`: its input is still being uploaded. The last three are final. */
export const JOB_STATES = [
  'receiving',
  'queued',
  'running',
  'done',
  'failed',
  'cancelled',
] as const;
export type JobState = (typeof JOB_STATES)[number];

export type JobProgress = Readonly<Record<string, number>>;

export interface JobFailure {
  /** Stable snake_case code. */
  readonly code: string;
  readonly message: string;
}

/** A durable job as the database has it. */
export interface Job {
  readonly id: string;
  readonly kind: string;
  readonly state: JobState;
  /** Id of the user or service account, or `cli:NAME`. */
  readonly actor: string;
  /** Plain JSON: the task of the job. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  /** Counts the claims: a write that names an older number is refused. */
  readonly fence: number;
  /** Claims since the last checkpoint. */
  readonly attempts: number;
  /** Process that runs the job. */
  readonly holder: string | undefined;
  readonly isCancelling: boolean;
  /** The id of the actor that cancelled the job first. */
  readonly cancelledBy: string | undefined;
  /** Where the next attempt goes on. Undefined: at the beginning. */
  readonly checkpoint: number | undefined;
  /** The checkpoint at the latest claim. */
  readonly resumedAt: number | undefined;
  readonly progress: JobProgress;
  readonly failure: JobFailure | undefined;
  /** Counts every change. */
  readonly revision: number;
  /** When the job and its report are removed. Undefined: it has not ended. */
  readonly until: Date | undefined;
  /** `traceparent` of the request that asked for it, where that was traced. */
  readonly origin?: string;
}

/** Another process has claimed the job, or the lease has run out: this one must stop writing. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

/** The job cannot succeed, whatever is tried: it ends as failed, with this code. */
export class JobFailedError extends Error {
  override readonly name = 'JobFailedError';
  readonly code: string;
  /** With the part that made it fail, which has no checkpoint. Undefined: that of the last one. */
  readonly progress: JobProgress | undefined;
  constructor(code: string, message: string, progress?: JobProgress) {
    super(message);
    this.code = code;
    this.progress = progress;
  }
}

export const isFinal = ({ state }: Pick<Job, 'state'>): boolean =>
  state === 'done' || state === 'failed' || state === 'cancelled';
