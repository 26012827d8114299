/** The upper median. */
export const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

/**
 * The least of up to `attempts` measurements, ending with the first that is `enough`: noise of a loaded machine passes, a
 * real difference stays.
 */
export async function leastOf(attempts: number, measure: () => Promise<number>, enough: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < attempts && least > enough; i += 1) least = Math.min(least, await measure());
  return least;
}
