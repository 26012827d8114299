import { emptyHistogram, type Histogram, merge, quantile } from '../../bench/load/histogram';
import type { KindSecond, Tick } from './load/recorder';
import { KIND_NAMES, type KindName } from './scenarios';

/** One second of a run, over all load processes. */
export interface Second {
  readonly second: number;
  readonly answers: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly failures: Readonly<Record<string, number>>;
  readonly latency: Histogram;
  /** Of the busiest load process. */
  readonly busy: number;
  readonly backlog: number;
}

export interface Totals {
  readonly seconds: number;
  readonly answers: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly failures: Readonly<Record<string, number>>;
  readonly latency: Histogram;
}

export interface Timeline {
  add(tick: Tick): void;
  /** Without the seconds that not every process has reported. */
  seconds(): readonly Second[];
  /** The last `count` of them, at no more work than that. */
  recent(count: number): readonly Second[];
  totals(): Totals;
  kinds(): Readonly<Partial<Record<KindName, Totals>>>;
}

export const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, one) => total + one, 0);

/** Answers that are no answer to the question: 4xx and 5xx. 304 is one. */
export const refusals = (statuses: Readonly<Record<string, number>>): number =>
  sum(Object.fromEntries(Object.entries(statuses).filter(([status]) => Number(status) >= 400)));

/** `join`: makes a second of the ticks of its processes. */
export function createTimeline(processes: number, join = joined): Timeline {
  const ticks = new Map<number, Tick[]>();
  /** Each is made once: a tick that comes later makes it anew. */
  const made = new Map<number, Second>();
  let last = -1;
  const all = () => [...ticks.values()].flat();

  /** None where there was none, or it is not complete. */
  function secondAt(second: number): readonly Second[] {
    const parts = ticks.get(second);
    if (parts === undefined || (parts.length < processes && second >= last - 2)) return [];
    const found = made.get(second) ?? join(second, parts);
    made.set(second, found);
    return [found];
  }

  /** The last `count` that are complete. */
  function recent(count: number): readonly Second[] {
    const found: Second[] = [];
    for (let second = last; second >= 0 && found.length < count; second -= 1)
      found.push(...secondAt(second));
    return found.reverse();
  }

  return {
    add(tick) {
      const { second } = tick;
      ticks.set(second, [...(ticks.get(second) ?? []), tick]);
      made.delete(second);
      last = Math.max(last, second);
    },
    seconds: () => recent(Number.POSITIVE_INFINITY),
    recent,
    totals: () =>
      totalsOf(
        ticks.size,
        all().flatMap(({ kinds }) => Object.values(kinds)),
      ),
    kinds() {
      const named = KIND_NAMES.map((name) => {
        const parts = all().flatMap(({ kinds }) => kinds[name] ?? []);
        return [name, parts] as const;
      });
      return Object.fromEntries(
        named
          .filter(([, parts]) => parts.length > 0)
          .map(([name, parts]) => [name, totalsOf(ticks.size, parts)]),
      );
    },
  };
}

export function joined(second: number, ticks: readonly Tick[]): Second {
  const { seconds: _, ...totals } = totalsOf(
    1,
    ticks.flatMap(({ kinds }) => Object.values(kinds)),
  );
  return {
    ...{ second, ...totals },
    busy: Math.max(...ticks.map((tick) => tick.busy)),
    backlog: ticks.reduce((total, { backlog }) => total + backlog, 0),
  };
}

function totalsOf(seconds: number, parts: readonly KindSecond[]): Totals {
  const statuses = added(parts.map((part) => part.statuses));
  const latency = parts.length === 0 ? emptyHistogram() : merge(parts.map((one) => one.latency));
  const failures = added(parts.map((part) => part.failures));
  return { seconds, answers: sum(statuses), statuses, failures, latency };
}

function added(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const one of all)
    for (const [name, count] of Object.entries(one)) counts[name] = (counts[name] ?? 0) + count;
  return counts;
}

/** In ms; 0 where there was no answer. */
export const latencyAt = (latency: Histogram, share: number): number =>
  latency.total === 0 ? 0 : quantile(latency, share);
