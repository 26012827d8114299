export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function spread(samples: readonly number[]): Spread {
  if (samples.length === 0) throw new Error('a figure without samples');
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (i: number) => sorted[i] as number;
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { min: at(0), median, max: at(sorted.length - 1) };
}

/**
 * Ratio of two series that were measured turn by turn. Each turn gives one ratio, so that what
 * slows the machine for a minute slows both sides; with unequal lengths only the medians can be
 * compared.
 */
export function ratio(over: readonly number[], under: readonly number[]): Spread {
  if (over.length === under.length)
    return spread(over.map((value, i) => value / (under[i] as number)));
  const single = spread(over).median / spread(under).median;
  return { min: single, median: single, max: single };
}

/**
 * mulberry32: small, seeded, good enough to spread requests; the same seed gives every contestant
 * the same requests.
 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
