import { emptyHistogram, type Histogram, record } from '../../../bench/load/histogram';
import type { KindName } from '../scenarios';

/** The answers of one kind in one second. */
export interface KindSecond {
  readonly latency: Histogram;
  readonly statuses: Record<string, number>;
  /** Requests without an answer, by reason. */
  readonly failures: Record<string, number>;
}

/** What a load process reports each second. */
export interface Tick {
  readonly second: number;
  readonly kinds: Partial<Record<KindName, KindSecond>>;
  /** Share of the second in which this process was busy. */
  readonly busy: number;
  /** Requests that are due and not sent: every connection is in use. */
  readonly backlog: number;
}

/** Why a load ended, and why its requests failed: nothing has been answered for long. */
export const SILENT = 'the target stopped answering';

export interface Recorder {
  answered(kind: KindName, status: number, ms: number): void;
  failed(kind: KindName, reason: string): void;
  close(): void;
}

/** Sends a tick each second, and the last one when it is closed. */
export function startRecorder(
  send: (tick: Tick) => void,
  backlog: () => number = () => 0,
): Recorder {
  let kinds: Tick['kinds'] = {};
  let second = 0;
  let utilisation = performance.eventLoopUtilization();
  const of = (kind: KindName): KindSecond => {
    kinds[kind] ??= { latency: emptyHistogram(), statuses: {}, failures: {} };
    return kinds[kind];
  };
  function flush(): void {
    const now = performance.eventLoopUtilization();
    const busy = performance.eventLoopUtilization(now, utilisation).utilization;
    utilisation = now;
    send({ second, kinds, busy, backlog: backlog() });
    second += 1;
    kinds = {};
  }
  const timer = setInterval(flush, 1000);
  return {
    answered(kind, status, ms) {
      const { latency, statuses } = of(kind);
      record(latency, ms);
      statuses[status] = (statuses[status] ?? 0) + 1;
    },
    failed(kind, reason) {
      const { failures } = of(kind);
      failures[reason] = (failures[reason] ?? 0) + 1;
    },
    close() {
      clearInterval(timer);
      if (Object.keys(kinds).length > 0) flush();
    },
  };
}
