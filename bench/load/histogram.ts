/**
 * Latencies in buckets 2 % wide: fine enough for a p99.9, small enough to send between processes,
 * and it merges exactly.
 */
const WIDTH = Math.log(1.02);
const SMALLEST_MS = 0.001;

export interface Histogram {
  readonly counts: Record<number, number>;
  total: number;
}

export const emptyHistogram = (): Histogram => ({ counts: {}, total: 0 });

export function record(histogram: Histogram, ms: number): void {
  const bucket = Math.round(Math.log(Math.max(ms, SMALLEST_MS) / SMALLEST_MS) / WIDTH);
  histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
  histogram.total += 1;
}

export function merge(histograms: readonly Histogram[]): Histogram {
  const all = emptyHistogram();
  for (const { counts, total } of histograms) {
    for (const [bucket, count] of Object.entries(counts))
      all.counts[Number(bucket)] = (all.counts[Number(bucket)] ?? 0) + count;
    all.total += total;
  }
  return all;
}

/** The latency in ms that the given share of the requests did not exceed. */
export function quantile({ counts, total }: Histogram, share: number): number {
  let seen = 0;
  // Integer keys of an object are listed in ascending order.
  for (const [bucket, count] of Object.entries(counts)) {
    seen += count;
    if (seen >= total * share) return SMALLEST_MS * Math.exp(Number(bucket) * WIDTH);
  }
  return Number.NaN;
}
