import type { Config, Fault } from './settings';

/**
 * Checks several settings together. A setting that failed its own schema is undefined here, so
 * checks only compare values and never call their methods.
 */
export type Check = (config: Config) => Fault | undefined;
