/** The maximum of WORKERS. */
const MAX_WORKERS = 256;

/** Reads "4", "+1" or "-2". */
export function parseScale(
  count: string,
  now: number,
): { readonly wanted: number } | { readonly error: string } {
  const [, sign, digits] = /^([+-]?)(\d{1,4})$/.exec(count) ?? [];
  if (digits === undefined)
    return { error: `scale takes a number of workers, +N or -N, not ${JSON.stringify(count)}` };
  const wanted = sign === '' ? Number(digits) : now + Number(`${sign}${digits}`);
  if (wanted < 1)
    return {
      error: `at least 1 worker must run, not ${wanted}; SIGTERM to the primary stops the service`,
    };
  return wanted > MAX_WORKERS ? { error: `at most ${MAX_WORKERS} workers` } : { wanted };
}
