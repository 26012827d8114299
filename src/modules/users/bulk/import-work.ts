import { setTimeout as delay } from 'node:timers/promises';
import type { Traffic } from '../../../platform/http/traffic';
import { type Job, JobFailedError, type JobProgress } from '../../../platform/jobs/job';
import type { JobFiles } from '../../../platform/jobs/job-files';
import type { JobRun, Work } from '../../../platform/jobs/job-run';
import { type Applied, type ApplyDependencies, COUNTED, createApply } from './apply';
import type { ImportOrder } from './intake';
import type { PresentRequester } from './present-requester';
import type { PreparedRows, PrepareTask } from './rows';

/** Checks a chunk on another thread. */
export type PrepareRows = (task: PrepareTask, signal: AbortSignal) => Promise<PreparedRows>;

export interface ImportWorkDependencies extends ApplyDependencies {
  readonly files: Pick<JobFiles, 'getCompressed' | 'put'>;
  readonly prepare: PrepareRows;
  readonly presentRequester: PresentRequester;
  readonly restMs: Traffic['restMs'];
  readonly timeoutMs: number;
}

/** While requests are answered: a part takes so many times as long as it works. */
const RESTS = 3;

type ImportParams = ImportOrder & {
  readonly columns: readonly string[];
  readonly chunks: number;
};

/** Does an import chunk by chunk; while one is written, the next one is checked. */
export function createImportWork(deps: ImportWorkDependencies): Work {
  const apply = createApply(deps);

  async function prepared(run: JobRun, n: number): Promise<PreparedRows | undefined> {
    const { chunks, format, columns, match } = paramsOf(run.job);
    if (n >= chunks) return undefined;
    const part = await deps.files.getCompressed(run.job.id, 'input', n);
    if (part === null) throw new JobFailedError('input_lost', 'The file is no longer stored.');
    const beganMs = run.job.createdAt.getTime();
    return deps.prepare({ chunk: part.data, format, columns, match, beganMs }, run.signal);
  }

  /** The progress after one more chunk. */
  async function doChunk(run: JobRun, n: number, rows: PreparedRows) {
    const { job } = run;
    const timeoutMs = Math.min(deps.timeoutMs, Math.floor(run.leaseMs / 3));
    const order = paramsOf(job);
    const actor = await deps.presentRequester(order.actor);
    const { counts, report, ...stops } = await apply(rows.taken, {
      ...{ job: job.id, at: job.createdAt, order, actor, timeoutMs },
      assertHeld: () => run.assertHeld(timeoutMs),
    });
    const refused = rows.refused.filter(({ line }) => line < (stops.conflict?.line ?? Infinity));
    const lines = [...report, ...refused].sort((a, b) => a.line - b.line);
    if (lines.length > 0) {
      const data = Buffer.from(lines.map(({ text }) => text).join(''));
      await deps.files.put(job.id, 'report', n, { data, meta: {} }, job.fence);
    }
    counts.refused += refused.length;
    return { counts, stops, reported: lines.length };
  }

  return async (run) => {
    const progress = startOf(run.job);
    const from = run.job.checkpoint ?? 0;
    let next = prepared(run, from);
    for (let n = from; ; n += 1) {
      const rows = await next;
      if (rows === undefined) return;
      next = prepared(run, n + 1);
      // Awaited in the next turn; until then a failure is no unhandled one.
      next.catch(() => undefined);
      const began = performance.now();
      const { counts, stops, reported } = await doChunk(run, n, rows);
      for (const kind of COUNTED) {
        progress[kind] += counts[kind];
        progress.done += counts[kind];
      }
      progress.reported += reported;
      const stop = stopOf(stops, progress);
      // Without a checkpoint: another holder would count this part a second time.
      if (stop !== undefined) throw stop;
      await run.checkpoint(n + 1, progress);
      const restMs = deps.restMs(performance.now() - began, RESTS);
      await delay(restMs, undefined, { signal: run.signal });
    }
  };
}

const paramsOf = ({ params }: Job) => params as unknown as ImportParams;

function startOf({ progress }: Job) {
  const start = { created: 0, updated: 0, unchanged: 0, skipped: 0, refused: 0, reported: 0 };
  return { total: 0, done: 0, ...start, ...progress };
}

/** Why no later chunk may be done. */
function stopOf(
  { conflict, forbiddenLine }: Pick<Applied, 'conflict' | 'forbiddenLine'>,
  progress: JobProgress,
): JobFailedError | undefined {
  if (forbiddenLine !== undefined)
    return new JobFailedError('import_not_permitted', forbidden(forbiddenLine), progress);
  return conflict && new JobFailedError('user_exists', existing(conflict.line), progress);
}

const forbidden = (line: number) =>
  `The requester of this import may no longer import users. It ended before line ${line}; the lines before it are stored.`;

const existing = (line: number) =>
  `The user of line ${line} exists already. The lines before it are imported, no later one is.`;
