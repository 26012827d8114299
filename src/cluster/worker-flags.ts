export interface WorkerFlagsOptions {
  /** WORKER_HEAP_LIMIT_MB: at this a worker is replaced in order; V8 ends it at 1.5 times as much. */
  readonly heapLimitMb: number;
  /** What the operator has told node. Of two equal flags the later wins, so these win over ours. */
  readonly given?: readonly string[];
}

const YOUNG_GENERATION = '--max-semi-space-size=8';
/**
 * With a worker for each core, threads that collect garbage beside a worker only take another worker's core, or their own worker's. Pauses are as
 * long without them, and reads of 100,000 users a quarter faster (docs/performance.md).
 */
const NO_HELPERS = '--single-threaded-gc';

/**
 * What `node` is told in front of a worker's script, by our primary and by PM2 alike (ecosystem.config.js). V8's young generation
 * has two halves of 16 MB, on Node 24 more, which stay resident once used; halves of 8 MB cost no throughput (docs/performance.md).
 */
export function workerFlags({ heapLimitMb, given = [] }: WorkerFlagsOptions): string[] {
  // The limit comes last: one given for the primary is not one for the workers.
  return [YOUNG_GENERATION, NO_HELPERS, ...given, `--max-old-space-size=${Math.ceil(heapLimitMb * 1.5)}`];
}
