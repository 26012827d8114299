import type { DestinationStream } from 'pino';

/** A log line as the ops page shows it. */
export interface RecentLine {
  readonly time: string;
  readonly level: string;
  readonly msg: string;
  readonly pid: number;
  readonly worker?: number;
  readonly detail?: string;
}

/** The last log lines that an operator should see, in memory. */
export interface RecentLines {
  /** Passes every line on to `destination`, and keeps those that matter. */
  tap(destination: DestinationStream): DestinationStream;
  /** Adds a line of another process. */
  add(line: string): void;
  lines(): readonly RecentLine[];
  /** Calls `listener` with the text of each kept line; returns the function that ends it. */
  listen(listener: (line: string, kept: RecentLine) => void): () => void;
}

const KEPT_MAX = 200;
const DETAIL_MAX = 300;
/** `{"level":"` comes before the first letter of the level. */
const LEVEL_AT = '{"level":"'.length;
const WARNING_LETTERS = new Set(['w', 'e', 'f']);

/**
 * `isEvent` tells which lines below `warn` are kept too. It is asked only about lines of a process
 * that writes few of them.
 */
export function createRecentLines(isEvent: (line: string) => boolean = () => false): RecentLines {
  const kept: RecentLine[] = [];
  const listeners = new Set<(line: string, kept: RecentLine) => void>();

  function add(line: string): void {
    const parsed = parse(line);
    if (parsed === undefined) return;
    kept.push(parsed);
    if (kept.length > KEPT_MAX) kept.shift();
    for (const listener of listeners) listener(line, parsed);
  }

  return {
    add,
    lines: () => kept,
    tap: (destination) => ({
      write(line) {
        destination.write(line);
        if (WARNING_LETTERS.has(line.charAt(LEVEL_AT)) || isEvent(line)) add(line);
      },
      // pino calls it after a fatal line.
      flushSync() {
        (destination as { flushSync?: () => void }).flushSync?.();
      },
    }),
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function parse(line: string): RecentLine | undefined {
  try {
    const { time, level, msg = '', pid, worker, ...rest } = JSON.parse(line);
    const { workerPid: _, err, ...fields } = rest;
    const texts = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    if (err?.message !== undefined) texts.push(String(err.message));
    const detail = texts.join(' ').slice(0, DETAIL_MAX);
    return {
      ...{ time: String(time), level: String(level), msg: String(msg), pid: Number(pid) },
      ...(typeof worker === 'number' ? { worker } : {}),
      ...(detail === '' ? {} : { detail }),
    };
  } catch {
    return undefined;
  }
}
