/** Exit codes of the primary and the workers, after sysexits.h, so that an orchestrator can tell what happened. */
export const exitCodes = {
  /** Asked to stop; everything in flight was finished. */
  ok: 0,
  /** Asked to stop; the deadline passed and something was cut off. */
  forced: 1,
  /** MongoDB could not be reached, or the embedded database did not start (EX_UNAVAILABLE). */
  unavailable: 69,
  /** Workers never became ready, or an error that the process could not outlive (EX_SOFTWARE). */
  software: 70,
  /** The address is taken or not ours (EX_OSERR). */
  address: 71,
  /** A setting is not usable: starting again will not help (EX_CONFIG). */
  config: 78,
} as const;

/** The exit code of a start that failed with `error`. */
export function exitCodeOf(error: unknown): number {
  const name = error instanceof Error ? error.name : '';
  // By name: the driver's classes are no business of the cluster's.
  return /^(MongooseServerSelection|MongoServerSelection|MongoNetwork)/.test(name) ? exitCodes.unavailable : exitCodes.software;
}
