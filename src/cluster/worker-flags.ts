export interface WorkerFlagsOptions {
  /** WORKER_HEAP_LIMIT_MB: at this a worker is replaced in order; V8 ends it at 1.5 times as much. */
  readonly heapLimitMb: number;
  /** What the operator has told node. Of two equal flags the later wins, so these win over ours. */
  readonly given?: readonly string[];
  readonly nodeMajor?: number;
}

const YOUNG_GENERATION = '--max-semi-space-size=8';
const NO_MAGLEV = '--no-maglev';

/**
 * What `node` is told in front of a worker's script, by our primary and by PM2 alike (ecosystem.config.js). Measured in docs/performance.md:
 * - V8's young generation has two halves of 16 MB, on Node 24 more, which stay resident once used; halves of 8 MB do.
 * - Maglev, the compiler between baseline and optimised code, leaves 14 MB behind on the C heap. A service that runs for long ends up in
 *   TurboFan's code anyway. For Node 22 to 24 alone: before, it is off; and a Node that does not know a flag does not start.
 */
export function workerFlags({
  heapLimitMb,
  given = [],
  nodeMajor = Number.parseInt(process.versions.node, 10),
}: WorkerFlagsOptions): string[] {
  return [
    YOUNG_GENERATION,
    ...(nodeMajor >= 22 && nodeMajor <= 24 ? [NO_MAGLEV] : []),
    ...given,
    // Last: a limit given for the primary is not one for the workers.
    `--max-old-space-size=${Math.ceil(heapLimitMb * 1.5)}`,
  ];
}
