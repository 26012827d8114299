import type { Limit, Observed } from '../limit';
import type { Reading } from '../metrics';
import type { RunOptions } from '../options';
import type { Timeline } from '../timeline';

export interface Report {
  readonly options: RunOptions;
  readonly timeline: Timeline;
  readonly readings: readonly Reading[];
  readonly limit: Limit;
  readonly loop: Observed['loop'];
  /** When the run ended. */
  readonly at: Date;
}
