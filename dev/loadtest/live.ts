import { latencyAt, refusals, sum, type Timeline } from './timeline';

const BAR_CHARS = 24;

export interface Live {
  show(timeline: Timeline): void;
  /** Ends the line of a terminal. */
  end(): void;
}

/** One line that changes on a terminal; elsewhere a line every few seconds. */
export function liveOn(output: NodeJS.WriteStream, seconds: number, now = performance.now): Live {
  const beganMs = now.call(performance);
  const every = output.isTTY ? 1 : seconds <= 15 ? 1 : 5;
  let shown = -1;
  return {
    show(timeline) {
      const last = timeline.recent(1).at(-1);
      if (last === undefined || last.second <= shown || (last.second + 1) % every !== 0) return;
      shown = last.second;
      const elapsed = Math.min(seconds, Math.round((now.call(performance) - beganMs) / 1000));
      const errors = refusals(last.statuses) + sum(last.failures);
      const facts = [
        `${elapsed} s of ${seconds} s, ${seconds - elapsed} s left`,
        `${last.answers.toLocaleString('en')} answers/s`,
        `p50 ${ms(latencyAt(last.latency, 0.5))}`,
        `p99 ${ms(latencyAt(last.latency, 0.99))}`,
        `${errors.toLocaleString('en')} errors/s`,
        ...(last.backlog > 0 ? [`${last.backlog.toLocaleString('en')} due and not sent`] : []),
      ].join(' · ');
      if (!output.isTTY) return void output.write(`${facts}\n`);
      const bar = '#'.repeat(Math.round((BAR_CHARS * elapsed) / seconds)).padEnd(BAR_CHARS, '.');
      output.write(`\r\u001b[2K[${bar}] ${facts}`.slice(0, (output.columns ?? 120) + 5));
    },
    end() {
      if (output.isTTY && shown >= 0) output.write('\n');
    },
  };
}

export const ms = (value: number): string =>
  value >= 100 ? `${Math.round(value)} ms` : `${value.toFixed(value >= 10 ? 1 : 2)} ms`;
