import { setTimeout as delay } from 'node:timers/promises';
import { createLiveStreams } from '../../platform/http/live-streams';
import { isFinal, type Job } from '../../platform/jobs/job';
import { viewOfJob } from './contract';

export interface ProgressOptions {
  readonly find: (id: string) => Promise<Job | null>;
  /** Whether this process is about to end: streams end, and clients connect elsewhere. */
  readonly draining: () => boolean;
  readonly pollMs?: number;
  /** Between two signs of life. */
  readonly heartbeatMs?: number;
}

const STREAMS_MAX = 50;
/** Clients connect again, with a token that is still accepted. */
const STREAM_MAX_MS = 10 * 60_000;
const POLL_MS = 500;
const HEARTBEAT_MS = 10_000;

interface Follower {
  /** Its `Last-Event-ID`. */
  readonly seen: string | undefined;
  readonly isAllowed: () => Promise<boolean>;
  /** Aborts when the client is gone. */
  readonly closed: AbortSignal;
}

/** Server-sent events (WHATWG HTML) of jobs. */
export function createProgressEvents(options: ProgressOptions) {
  const { find, draining, pollMs = POLL_MS, heartbeatMs = HEARTBEAT_MS } = options;
  const live = createLiveStreams({
    max: STREAMS_MAX,
    refusal: 'Too many clients follow jobs on this worker. Poll the job instead.',
  });

  async function* changesOf(first: Job, follower: Follower): AsyncGenerator<string> {
    const { seen, isAllowed, closed } = follower;
    const endMs = performance.now() + STREAM_MAX_MS;
    let sentMs = performance.now();
    let last = seen;
    for (let job: Job | null = first; job !== null; job = await find(first.id)) {
      const text = textOf(job, last, sentMs);
      if (text !== undefined) {
        sentMs = performance.now();
        yield text;
      }
      last = String(job.revision);
      if (isFinal(job) || draining() || performance.now() > endMs) return;
      await delay(pollMs);
      // The token, or the connection, ends before the stream does.
      if (closed.aborted || !(await isAllowed())) return;
    }
  }

  /** Undefined: nothing is to be sent. */
  function textOf(job: Job, last: string | undefined, sentMs: number): string | undefined {
    if (isFinal(job)) return eventOf(job, 'end');
    if (String(job.revision) !== last) return eventOf(job, 'progress');
    return performance.now() - sentMs > heartbeatMs ? ': alive\n\n' : undefined;
  }

  return (job: Job, follower: Follower) => live(changesOf(job, follower));
}

const eventOf = (job: Job, name: string) =>
  `id: ${job.revision}\nevent: ${name}\ndata: ${JSON.stringify(viewOfJob(job))}\n\n`;
