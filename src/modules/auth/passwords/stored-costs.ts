import type { Logger } from '../../../platform/telemetry/logger';

/**
 * The parameters of stored hashes. The time of a check must not reveal whether an account exists.
 */
export interface StoredCosts {
  /** The parameters seen within the last hour, also in samples of the stored hashes. */
  inUse(): readonly string[];
  saw(parameters: string): void;
  /** Takes a sample. */
  refresh(): Promise<void>;
}

export interface StoredCostsOptions {
  /** Reads the parameters of a sample of the stored hashes. */
  readonly sample: () => Promise<readonly string[]>;
  /**
   * Called with all parameters in use after each sample, and with those seen for the first time.
   */
  readonly learn: (parameters: readonly string[]) => Promise<void>;
  readonly log: Logger;
  /** A monotonic clock in ms. */
  readonly now?: () => number;
}

const SAMPLE_EVERY_MS = 10 * 60_000;
/** Longer than the interval of samples, so that a failed sample has no effect. */
const KEEP_MS = 60 * 60_000;
/** Systems have one or two sets of parameters; an import of many sources a few more. */
const MAX_KINDS = 64;

export function createStoredCosts({
  sample,
  learn,
  log,
  now = () => performance.now(),
}: StoredCostsOptions): StoredCosts {
  const seenAtMs = new Map<string, number>();
  let sampledAtMs = Number.NEGATIVE_INFINITY;

  const keep = (parameters: string) => {
    if (seenAtMs.has(parameters) || seenAtMs.size < MAX_KINDS) seenAtMs.set(parameters, now());
  };
  const failed = (error: unknown) =>
    log.debug({ err: error }, 'costs of stored password hashes not sampled');

  const fresh = () => {
    for (const [parameters, at] of seenAtMs) if (now() - at >= KEEP_MS) seenAtMs.delete(parameters);
    return [...seenAtMs.keys()];
  };

  async function refresh(): Promise<void> {
    sampledAtMs = now();
    try {
      for (const parameters of await sample()) keep(parameters);
      await learn(fresh());
    } catch (error) {
      failed(error);
    }
  }

  return {
    inUse() {
      // In the background.
      if (now() - sampledAtMs > SAMPLE_EVERY_MS) void refresh();
      return fresh();
    },
    saw(parameters) {
      const isNew = !seenAtMs.has(parameters);
      keep(parameters);
      if (isNew) void learn([parameters]).catch(failed);
    },
    refresh,
  };
}
