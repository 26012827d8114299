export interface WorkerFlagsOptions {
  /**
   * WORKER_HEAP_LIMIT_MB: a worker is recycled at this size; V8 aborts it at 1.5 times this size.
   */
  readonly heapLimitMb: number;
  /** The operator's flags for node. The last of two equal flags applies, so these come later. */
  readonly given?: readonly string[];
}

const YOUNG_GENERATION = '--max-semi-space-size=8';
/**
 * A scavenge is short. Parallel scavenger threads take cores from other workers and fragment the
 * heap: 7 MB on Node 24, and 6 % of the CPU time of reads of 100,000 users on Node 20
 * (docs/performance.md).
 */
const YOUNG_ALONE = '--no-parallel-scavenge';

/**
 * The node flags of a worker, under the primary and under PM2 (ecosystem.config.js). V8's young
 * generation has two semi-spaces of 16 MB (more on Node 24), which stay resident once used;
 * semi-spaces of 8 MB cost no throughput (docs/performance.md).
 */
export function workerFlags({ heapLimitMb, given = [] }: WorkerFlagsOptions): string[] {
  // The heap limit comes last: a limit given for the primary must not apply to the workers.
  return [
    YOUNG_GENERATION,
    YOUNG_ALONE,
    ...given,
    `--max-old-space-size=${Math.ceil(heapLimitMb * 1.5)}`,
  ];
}
