/**
 * Records of the reads and writes of clients, on the clock that all processes of a host share, and
 * the check of the claim on them.
 */
export interface HistoryOptions {
  readonly keys: readonly string[];
  readonly readers: number;
  readonly writers: number;
  readonly durationMs: number;
  /** Average pause between a client's writes. */
  readonly writePauseMs: number;
  /** Reads that a client makes before it lets others run. */
  readonly burst?: number;
}

export interface RecordedHistory {
  /** Flat: key, start, tookMs, version, … */
  readonly reads: Float64Array;
  readonly writes: Float64Array;
  readonly failedReads: number;
  readonly failedWrites: number;
}

/** CLOCK_MONOTONIC in ms: one clock for every process of this host. */
const hostClock = (): number => Number(process.hrtime.bigint()) / 1e6;

export function createRecorder(
  read: (key: string) => Promise<{ version: number } | null>,
  write: (key: string) => Promise<number>,
) {
  return async function record(options: HistoryOptions): Promise<RecordedHistory> {
    const { keys, burst = 5 } = options;
    const reads: number[] = [];
    const writes: number[] = [];
    let failedReads = 0;
    let failedWrites = 0;
    const until = hostClock() + options.durationMs;
    const pick = (): number => Math.floor(Math.random() * keys.length);
    const yielded = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

    async function reader(): Promise<void> {
      while (hostClock() < until) {
        for (let i = 0; i < burst; i += 1) {
          const key = pick();
          const start = hostClock();
          try {
            const version = (await read(keys[key] ?? ''))?.version ?? 0;
            reads.push(key, start, hostClock() - start, version);
          } catch {
            failedReads += 1;
          }
        }
        await yielded();
      }
    }
    async function writer(): Promise<void> {
      while (hostClock() < until) {
        const key = pick();
        const start = hostClock();
        try {
          const version = await write(keys[key] ?? '');
          const at = hostClock();
          writes.push(key, at, at - start, version);
        } catch {
          failedWrites += 1;
        }
        await new Promise((resolve) =>
          setTimeout(resolve, Math.random() * 2 * options.writePauseMs),
        );
      }
    }
    await Promise.all([
      ...Array.from({ length: options.readers }, reader),
      ...Array.from({ length: options.writers }, writer),
    ]);
    return {
      reads: Float64Array.from(reads),
      writes: Float64Array.from(writes),
      failedReads,
      failedWrites,
    };
  };
}

export interface Checked {
  readonly reads: number;
  readonly writes: number;
  readonly stale: number;
  /** Of the stale reads: how long after the acknowledgement the latest of them began. */
  readonly staleForMs: number;
  readonly failedReads: number;
  readonly failedWrites: number;
}

type Timeline = readonly { readonly at: number; readonly version: number }[];

/** Per key, at which times which version was the newest acknowledged. */
function timelines(histories: readonly RecordedHistory[], keys: number): Timeline[] {
  const lists: { at: number; version: number }[][] = Array.from({ length: keys }, () => []);
  for (const { writes: flat } of histories) {
    for (let i = 0; i < flat.length; i += 4)
      lists[flat[i] ?? 0]?.push({ at: flat[i + 1] ?? 0, version: flat[i + 3] ?? 0 });
  }
  for (const list of lists) {
    list.sort((a, b) => a.at - b.at);
    let newest = 0;
    for (const one of list) {
      newest = Math.max(newest, one.version);
      one.version = newest;
    }
  }
  return lists;
}

/** How long before the read began its value had been replaced; 0: it was current. */
function staleFor(timeline: Timeline, start: number, version: number): number {
  if (version >= floorAt(timeline, start)) return 0;
  return start - (timeline.find((one) => one.version > version)?.at ?? start);
}

/**
 * A read is stale when it is older than the newest write that had been acknowledged before it
 * began.
 */
export function check(histories: readonly RecordedHistory[], keys: number): Checked {
  const acknowledged = timelines(histories, keys);
  let stale = 0;
  let staleForMs = 0;
  for (const { reads: flat } of histories) {
    for (let i = 0; i < flat.length; i += 4) {
      const forMs = staleFor(acknowledged[flat[i] ?? 0] ?? [], flat[i + 1] ?? 0, flat[i + 3] ?? 0);
      if (forMs > 0) stale += 1;
      staleForMs = Math.max(staleForMs, forMs);
    }
  }
  const sum = (pick: (one: RecordedHistory) => number): number =>
    histories.reduce((total, one) => total + pick(one), 0);
  return {
    reads: sum((one) => one.reads.length / 4),
    writes: sum((one) => one.writes.length / 4),
    stale,
    staleForMs,
    failedReads: sum((one) => one.failedReads),
    failedWrites: sum((one) => one.failedWrites),
  };
}

function floorAt(list: Timeline, start: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((list[middle]?.at ?? 0) < start) low = middle + 1;
    else high = middle;
  }
  return list[low - 1]?.version ?? 0;
}
