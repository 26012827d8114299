import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Connection } from 'mongoose';
import { Counter } from 'prom-client';
import type { Config } from '../kernel/config/config';
import type { Secrets } from '../kernel/crypto/encryption';
import type { Closable } from '../kernel/lifecycle';
import { builtFile } from '../kernel/root';
import { hashSettings } from '../modules/auth';
import type { PreparedRows, PrepareTask } from '../modules/users';
import { createTellEnd } from '../platform/jobs/job-ends';
import { createJobFiles, type JobFiles, readReport } from '../platform/jobs/job-files';
import type { JobHandler } from '../platform/jobs/job-handler';
import { ATTEMPT_RESULTS, startJobRunner } from '../platform/jobs/job-runner';
import { createJobStore, type JobStore } from '../platform/jobs/job-store';
import { startJobSweep } from '../platform/jobs/job-sweep';
import type { Logger } from '../platform/telemetry/logger';
import type { Metrics } from '../platform/telemetry/metrics';
import type { Tracing } from '../platform/telemetry/tracing';
import { createThreadPool } from '../runtime/jobs/thread-pool';
import type { ImportRowsTask } from './threads/import-rows';

export interface JobsOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing?: Tracing | undefined;
  readonly own: <T extends Closable>(name: string, resource: T) => T;
  readonly connection: Connection;
  readonly secrets: Secrets;
  /** Resolves when the events emitted so far are stored. */
  readonly stored: () => Promise<void>;
}

/** The durable jobs of this process. */
export interface DurableJobs {
  readonly store: JobStore;
  readonly files: JobFiles;
  readonly prepare: (task: PrepareTask, signal: AbortSignal) => Promise<PreparedRows>;
  readonly report: (job: string) => AsyncGenerator<Buffer>;
  /** A job was queued by this process. */
  readonly nudge: () => void;
  /** From now on this process runs jobs of these kinds. */
  start(handlers: Readonly<Record<string, JobHandler>>): void;
}

/** Time for a batch to end, and for the lease to be given back. */
const CLOSE_TIMEOUT_MS = 5000;
const HOUR_MS = 3_600_000;

export function createDurableJobs(options: JobsOptions): DurableJobs {
  const { config, log, own, connection, secrets, tracing } = options;
  const { leaseMs, pollMs, activeMax, keepHours } = config.jobs;
  const timeoutMs = config.database.operationTimeoutMs;
  const keepMs = keepHours * HOUR_MS;
  const store = createJobStore(connection, {
    ...{ leaseMs, activeMax, keepMs, timeoutMs, tracing },
  });
  const files = createJobFiles(connection, { secrets, timeoutMs, keepMs });
  const threads = own(
    'job threads',
    createThreadPool<ImportRowsTask, PreparedRows>({
      filename: builtFile('threads/import-rows.js'),
    }),
  );
  const { bcryptCost, hashNiceness: niceness, compromisedPasswordsFile } = config.auth;
  const compromisedFile = compromisedPasswordsFile;
  const hashing = hashSettings(config);
  let nudge = () => {};
  return {
    store,
    files,
    prepare: (task, signal) =>
      threads.run({ ...task, hashing, bcryptCost, niceness, compromisedFile }, signal),
    report: (job) => readReport(files, job),
    nudge: () => nudge(),
    start(handlers) {
      const kinds = Object.keys(handlers);
      const byKind = new Map(Object.entries(handlers));
      const tell = createTellEnd({ handlers: byKind, store, stored: options.stored });
      const runner = startJobRunner({
        ...{ store, files, log, tracing, leaseMs, pollMs, closeTimeoutMs: CLOSE_TIMEOUT_MS },
        ...{ handlers: byKind, tell },
        holder: `${hostname()} ${process.pid} ${randomUUID().slice(0, 8)}`,
        count: countAttempts(options.metrics, kinds),
      });
      nudge = runner.nudge;
      own('job runner', runner);
      own('job sweep', startJobSweep({ store, files, kinds, tell, log }));
    },
  };
}

function countAttempts(metrics: Metrics, kinds: readonly string[]) {
  const counter = new Counter({
    name: 'jobs_attempts_total',
    help: 'Attempts at durable jobs, by how they ended.',
    labelNames: ['kind', 'result'],
    registers: [metrics],
  });
  for (const kind of kinds) for (const result of ATTEMPT_RESULTS) counter.inc({ kind, result }, 0);
  return (kind: string, result: string) => counter.inc({ kind, result });
}
