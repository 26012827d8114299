/** One fault: what is done to the service, what must hold, and the planted fault that must break it. */
export interface Scenario {
  /** For `--only`; kebab-case. */
  readonly name: string;
  readonly title: string;
  /** The goal in the table's words, e.g. `0 failed reads, whole in ≤ 2 s`. */
  readonly goal: string;
  /** What is taken away with `planted: true`, e.g. `no retry`. The goal must then be missed. */
  readonly planted?: string;
  /** Resources that it starts it also ends, whatever happens. Throws SkipScenario where the machine cannot run it. */
  run(options: RunOptions): Promise<Outcome>;
}

export interface RunOptions {
  /** The form for `npm test`: less time, same claim. */
  readonly quick: boolean;
  /** Take the safeguard away: this run must miss the goal. */
  readonly planted: boolean;
}

export interface Outcome {
  readonly met: boolean;
  /** Shown in the table as `name value`, in this order, e.g. `{ 'failed reads': 0, 'whole ms': 812 }`. */
  readonly figures: Readonly<Record<string, number | string>>;
}

export interface Suite {
  /** Also the name of its module in faults/. */
  readonly name: string;
  readonly title: string;
  /** What the figures were taken on; a sentence or two for the section's head. */
  readonly setting: string;
  readonly scenarios: readonly Scenario[];
}

/** The machine lacks what the scenario needs (root, nginx, …): reported with the reason, never as met. */
export class SkipScenario extends Error {
  override readonly name = 'SkipScenario';
}
