import { merge } from '../../../bench/load/histogram';
import type { Second } from '../timeline';

/** One point of the charts: one second, or several of a long run. */
export interface Point extends Second {
  /** How many seconds it stands for. */
  readonly width: number;
}

/** The second after a closed loop has only its last answers: its rate would fall to nothing. */
export const measured = (
  seconds: readonly Second[],
  loop: 'closed' | 'open',
  durationSeconds: number,
): readonly Second[] =>
  loop === 'closed' ? seconds.filter(({ second }) => second < durationSeconds) : seconds;

const MOST = 240;

export function grouped(seconds: readonly Second[], most = MOST): readonly Point[] {
  const width = Math.max(1, Math.ceil(seconds.length / most));
  return Array.from({ length: Math.ceil(seconds.length / width) }, (_, i) =>
    joined(seconds.slice(i * width, (i + 1) * width)),
  );
}

function joined(part: readonly Second[]): Point {
  const total = (pick: (one: Second) => Readonly<Record<string, number>>) => {
    const counts: Record<string, number> = {};
    for (const one of part)
      for (const [name, count] of Object.entries(pick(one)))
        counts[name] = (counts[name] ?? 0) + count;
    return counts;
  };
  return {
    second: part[0]?.second ?? 0,
    width: part.length,
    answers: part.reduce((sum, { answers }) => sum + answers, 0),
    statuses: total(({ statuses }) => statuses),
    failures: total(({ failures }) => failures),
    latency: merge(part.map(({ latency }) => latency)),
    busy: Math.max(...part.map(({ busy }) => busy)),
    backlog: Math.max(...part.map(({ backlog }) => backlog)),
  };
}
