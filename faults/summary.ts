import type { RequestRecord } from './load';

export interface Summary {
  readonly planned: number;
  readonly sent: number;
  readonly answered: number;
  /** Answered with a status below 500 that is neither 408 nor 429. */
  readonly good: number;
  /** Everything else: no answer, or 408, 429, 5xx. */
  readonly failed: number;
  /** Of `failed`: those without any answer. */
  readonly unanswered: number;
  /** How often each status (`200`) or error (`ECONNRESET`) came. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** The same of all but 200, with the problem's code (`503 overloaded`). */
  readonly others: Readonly<Record<string, number>>;
  /** From the planned moment to the last byte, of good answers, in ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export function isGood(record: RequestRecord): boolean {
  return (
    record.status !== undefined &&
    record.status < 500 &&
    record.status !== 408 &&
    record.status !== 429
  );
}

export function summarise(
  records: readonly RequestRecord[],
  only: (record: RequestRecord) => boolean = () => true,
): Summary {
  const chosen = records.filter(only);
  const good = chosen.filter(isGood);
  const answered = chosen.filter((record) => record.answeredMs !== undefined);
  const outcomeOf = ({ status, error }: RequestRecord) =>
    status === undefined ? (error ?? 'UNFINISHED') : String(status);
  const latencies = good
    .map((record) => (record.answeredMs ?? 0) - record.plannedMs)
    .sort((a, b) => a - b);
  return {
    planned: chosen.length,
    sent: chosen.filter((record) => record.sentMs !== undefined).length,
    answered: answered.length,
    good: good.length,
    failed: chosen.length - good.length,
    unanswered: chosen.length - answered.length,
    outcomes: countBy(chosen, outcomeOf),
    others: countBy(
      chosen.filter(({ status }) => status !== 200),
      (record) => [outcomeOf(record), record.code].filter(Boolean).join(' '),
    ),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    maxMs: quantile(latencies, 1),
  };
}

function countBy(
  records: readonly RequestRecord[],
  key: (record: RequestRecord) => string,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const record of records) counts[key(record)] = (counts[key(record)] ?? 0) + 1;
  return counts;
}

/** Nearest rank; 0 for an empty list. `sorted` ascends. */
export function quantile(sorted: readonly number[], q: number): number {
  const rank = Math.max(0, Math.ceil(q * sorted.length) - 1);
  return Math.round((sorted[rank] ?? 0) * 10) / 10;
}

/**
 * Ms from `sinceMs` to the first good answer of a request that was planned later; undefined when
 * none came.
 */
export function firstGoodAfter(
  records: readonly RequestRecord[],
  sinceMs: number,
): number | undefined {
  const times = records
    .filter((r) => r.plannedMs >= sinceMs && isGood(r))
    .map((r) => (r.answeredMs ?? Number.POSITIVE_INFINITY) - sinceMs);
  return times.length === 0 ? undefined : Math.round(Math.min(...times));
}

/**
 * Ms from `sinceMs` until the last failed request was planned: after that moment everything was
 * good.
 */
export function healedAfter(records: readonly RequestRecord[], sinceMs: number): number {
  const bad = records
    .filter((r) => r.plannedMs >= sinceMs && !isGood(r))
    .map((r) => r.plannedMs - sinceMs);
  return bad.length === 0 ? 0 : Math.round(Math.max(...bad));
}
