import type { Options } from './options';

/** Seconds that a question takes with turns of one second, two of each, and with its start. */
const QUICK_SECONDS: Readonly<Record<string, number>> = {
  ...{ profile: 26, 'user-by-id': 22, 'second-opinion': 20, 'not-modified': 16, prototypes: 10 },
  ...{ latency: 52, 'many-tokens': 30, 'list-page': 16, mixed: 16, update: 16, events: 14 },
  ...{ login: 60, register: 20, floods: 20, workers: 24, connections: 40, import: 60 },
  ...{ 'deep-page': 400, ratio: 900 },
};
const QUICK_TURN = { rounds: 2, seconds: 1, warmSeconds: 1 };

const turnSeconds = ({ rounds, seconds, warmSeconds }: typeof QUICK_TURN) =>
  rounds * seconds + warmSeconds;

export interface Schedule {
  /** The line before a question. */
  heading(id: string, title: string): string;
  /** After it. */
  done(id: string): void;
}

/** How far the run is. Estimates follow the pace of this machine after the first question. */
export function createSchedule(
  ids: readonly string[],
  options: Pick<Options, 'rounds' | 'seconds' | 'warmSeconds'>,
  now: () => number = () => performance.now(),
): Schedule {
  const scale = turnSeconds(options) / turnSeconds(QUICK_TURN);
  const estimate = (id: string) => (QUICK_SECONDS[id] ?? 30) * scale;
  const total = (some: readonly string[]) => some.reduce((sum, id) => sum + estimate(id), 0);
  const left = [...ids];
  const beganMs = now();
  return {
    heading(id, title) {
      const past = total(ids) - total(left);
      const pace = past === 0 ? 1 : (now() - beganMs) / 1000 / past;
      const n = ids.indexOf(id) + 1;
      return `[${n} of ${ids.length}, ${showTime(total(left) * pace)} left] ${title}`;
    },
    done(id) {
      left.splice(left.indexOf(id), 1);
    },
  };
}

export const showTime = (seconds: number): string =>
  seconds < 90
    ? `about ${Math.max(5, Math.round(seconds / 5) * 5)} s`
    : `about ${Math.round(seconds / 60)} min`;
