import type { RequestHandler } from 'express';
import type { Policy } from '../../kernel/permissions';
import type { KeyRing, RemoteKeyRing } from '../../modules/auth';
import type { EmitEvent } from '../../modules/domain-events';
import type { Removals } from '../../modules/privacy';
import type { Cache } from '../../platform/cache/port';
import type { AttemptCounters } from '../../platform/counters/counters';
import type { Traffic } from '../../platform/http/traffic';
import type { Locks } from '../../platform/mongo/locks';
import type { DurableJobs, JobsOptions } from '../jobs';

/** From outside of the modules. */
export interface ModulesDependencies extends Omit<JobsOptions, 'stored'> {
  readonly cache: Cache;
  readonly counters: AttemptCounters;
  readonly locks: Locks;
  /** Rate limiter of the routes on which credentials could be guessed. */
  readonly limiter: RequestHandler;
  readonly traffic: Pick<Traffic, 'restMs'>;
  readonly openKeys: (emit: EmitEvent) => Promise<KeyRing | RemoteKeyRing>;
  /** Whether this process sends mails. If not, it queues them for the processes that do. */
  readonly sendsMail: boolean;
  /** Whether this process runs durable jobs. If not, it queues them for the processes that do. */
  readonly runsJobs: boolean;
  /** Whether this process is about to end. */
  readonly draining: () => boolean;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

/** The dependencies that the modules of one process share. */
export interface Shared extends ModulesDependencies, JobsOptions {
  readonly timeoutMs: number;
  readonly emit: EmitEvent;
  readonly policy: Policy;
  readonly jobs: DurableJobs;
  readonly removals: Removals;
}
