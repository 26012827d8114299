import type { Deadline } from '../../../kernel/deadline';
import type { ProblemCode } from '../../../kernel/problem-codes';
import { toProblem } from '../../../platform/http/to-problem';
import type { Logger } from '../../../platform/telemetry/logger';

/** The result for one id: the status and code that the single operation would have answered. */
export interface Outcome {
  readonly id: string;
  readonly status: number;
  readonly code?: ProblemCode;
}

/** Most of an item's time is the wait for every cache; the database sees few at once. */
const CONCURRENCY = 10;

/** How long items may begin. Each that has begun has the time of a single operation. */
export const BULK_TIMEOUT_MS = 10_000;

/**
 * Does `work` for each id, some at a time, each decided by itself. After the deadline none is
 * begun: such an id was not attempted. The outcomes come in the order of the ids.
 */
export async function eachWithin(
  ids: readonly string[],
  within: Deadline,
  log: Logger,
  work: (id: string) => Promise<unknown>,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0;

  async function outcomeOf(id: string): Promise<Outcome> {
    if (within.leftMs() === 0) return { id, status: 503, code: 'not_attempted' };
    try {
      await work(id);
      return { id, status: 204 };
    } catch (error) {
      const { status, code } = toProblem(error);
      if (status >= 500) log.warn({ err: error, code }, 'item of a bulk request failed');
      return { id, status, code };
    }
  }

  async function take(): Promise<void> {
    while (next < ids.length) {
      const at = next;
      next += 1;
      outcomes[at] = await outcomeOf(ids[at] as string);
    }
  }
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, ids.length) }, take));
  return outcomes;
}
