import type { Config, Fault } from './settings';

/**
 * Checks several settings together. A setting that failed its own schema is undefined here, so
 * checks only compare values and never call their methods.
 */
export type Check = (config: Config) => Fault | undefined;

/** The finding of a check, or nothing. */
export const fault = (found: boolean, env: string, message: () => string): Fault | undefined =>
  found ? { env, message: message() } : undefined;

/** `env` must be at most the value of `other`; the message names both. */
export const atMost = (
  env: string,
  value: number,
  other: string,
  limit: number,
  why: string,
): Fault | undefined =>
  fault(value > limit, env, () => `must be at most ${other} (${limit}): ${why}; it is ${value}`);
