/**
 * One scenario: a fault, the goal under it, and the planted fault with which the goal is missed.
 */
export interface Scenario {
  /** For `--only`; kebab-case. */
  readonly name: string;
  readonly title: string;
  /** The goal in the table's words, e.g. `0 failed reads, whole in ≤ 2 s`. */
  readonly goal: string;
  /** The safeguard disabled by `planted: true`, e.g. `no retry`. The goal must then be missed. */
  readonly planted?: string;
  /**
   * Always ends the resources that it started. Throws SkipScenario when the machine cannot run it.
   */
  run(options: RunOptions): Promise<Outcome>;
}

export interface RunOptions {
  /** The form for `npm test`: less time, same claim. */
  readonly quick: boolean;
  /** Disable the safeguard: this run must miss the goal. */
  readonly planted: boolean;
}

export interface Outcome {
  readonly met: boolean;
  /**
   * Shown in the table as `name value`, in this order, e.g. `{ 'failed reads': 0, 'whole ms': 812
   * }`.
   */
  readonly figures: Readonly<Record<string, number | string>>;
}

export interface Suite {
  /** Also the name of its module in faults/. */
  readonly name: string;
  readonly title: string;
  /** The test setup, in one or two sentences, for the head of the section. */
  readonly setting: string;
  readonly scenarios: readonly Scenario[];
}

/**
 * The machine lacks a requirement of the scenario (root, nginx, …): reported with the reason, not
 * as met.
 */
export class SkipScenario extends Error {
  override readonly name = 'SkipScenario';
}
