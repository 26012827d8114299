/** The upper median. */
export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

/**
 * The least of up to `attempts` measurements; stops at the first that is `enough`. Noise of a
 * loaded machine is transient, a real difference is not.
 */
export async function leastOf(
  attempts: number,
  measure: () => Promise<number>,
  enough: number,
): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < attempts && least > enough; i += 1) least = Math.min(least, await measure());
  return least;
}
