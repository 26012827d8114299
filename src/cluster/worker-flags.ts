export interface WorkerFlagsOptions {
  /** WORKER_HEAP_LIMIT_MB: at this a worker is replaced in order; V8 ends it at 1.5 times as much. */
  readonly heapLimitMb: number;
  /** What the operator has told node. Of two equal flags the later wins, so these win over ours. */
  readonly given?: readonly string[];
}

const YOUNG_GENERATION = '--max-semi-space-size=8';
/**
 * Young objects are few and short work. Threads that share it take the cores of other workers, and leave more gaps behind: 7 MB on
 * Node 24, and 6 % of the processor time of reads of 100,000 users on Node 20 (docs/performance.md).
 */
const YOUNG_ALONE = '--no-parallel-scavenge';

/**
 * What `node` is told in front of a worker's script, by our primary and by PM2 alike (ecosystem.config.js). V8's young generation
 * has two halves of 16 MB, on Node 24 more, which stay resident once used; halves of 8 MB cost no throughput (docs/performance.md).
 */
export function workerFlags({ heapLimitMb, given = [] }: WorkerFlagsOptions): string[] {
  // The limit comes last: one given for the primary is not one for the workers.
  return [YOUNG_GENERATION, YOUNG_ALONE, ...given, `--max-old-space-size=${Math.ceil(heapLimitMb * 1.5)}`];
}
