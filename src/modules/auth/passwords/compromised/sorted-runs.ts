import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Numbers in any order, sorted within a bounded memory: sorted runs in files, then one merge. */
export interface SortedRuns {
  add(value: number): void;
  /** All of them in ascending order, each once. */
  merged(): Generator<number>;
  close(): void;
}

const BYTES = Float64Array.BYTES_PER_ELEMENT;
/** Read at a time from each run. */
const RUN_BUFFER_ENTRIES = 8192;

export function createSortedRuns(folder: string, memoryEntries: number): SortedRuns {
  const chunk = new Float64Array(memoryEntries);
  const files: { fd: number; entries: number; last: number }[] = [];
  let used = 0;

  /** Sorted input makes one run, whatever its length. */
  function flush(): void {
    if (used === 0) return;
    const sorted = chunk.subarray(0, used);
    if (!isSorted(sorted)) sorted.sort();
    const before = files.at(-1);
    const run =
      before !== undefined && before.last <= (sorted[0] as number)
        ? before
        : { fd: openSync(join(folder, `run-${files.length}`), 'w+', 0o600), entries: 0, last: 0 };
    if (run !== before) files.push(run);
    writeAll(run.fd, Buffer.from(sorted.buffer, 0, used * BYTES), run.entries * BYTES);
    run.entries += used;
    run.last = sorted[used - 1] as number;
    used = 0;
  }

  return {
    add(value) {
      chunk[used] = value;
      used += 1;
      if (used === memoryEntries) flush();
    },
    *merged() {
      flush();
      let before = Number.NaN;
      for (const value of merge(files.map(runReader))) {
        if (value === before) continue;
        before = value;
        yield value;
      }
    },
    close() {
      for (const { fd } of files) closeSync(fd);
    },
  };
}

function isSorted(values: Float64Array): boolean {
  for (let at = 1; at < values.length; at += 1)
    if ((values[at] as number) < (values[at - 1] as number)) return false;
  return true;
}

function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}

interface RunReader {
  /** The next value. Infinity: none is left. */
  value: number;
  advance(): void;
}

function runReader({ fd, entries }: { fd: number; entries: number }): RunReader {
  const buffer = new Float64Array(RUN_BUFFER_ENTRIES);
  const bytes = Buffer.from(buffer.buffer);
  let [readEntries, filled, at] = [0, 0, 0];
  const reader: RunReader = {
    value: Number.POSITIVE_INFINITY,
    advance() {
      if (at === filled) {
        const wanted = Math.min(RUN_BUFFER_ENTRIES, entries - readEntries) * BYTES;
        filled = wanted === 0 ? 0 : readSync(fd, bytes, 0, wanted, readEntries * BYTES) / BYTES;
        readEntries += filled;
        at = 0;
      }
      reader.value = at < filled ? (buffer[at] as number) : Number.POSITIVE_INFINITY;
      at += 1;
    },
  };
  reader.advance();
  return reader;
}

/** By a binary heap of the runs, the least value at its top. */
function* merge(heap: RunReader[]): Generator<number> {
  heap.sort((a, b) => a.value - b.value);
  for (let top = heap[0]; top !== undefined && top.value !== Number.POSITIVE_INFINITY; ) {
    yield top.value;
    top.advance();
    sink(heap);
    top = heap[0];
  }
}

function sink(heap: RunReader[]): void {
  const moved = heap[0] as RunReader;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    const right = heap[child + 1];
    if (right !== undefined && right.value < (heap[child] as RunReader).value) child += 1;
    if ((heap[child] as RunReader).value >= moved.value) break;
    heap[at] = heap[child] as RunReader;
    at = child;
  }
  heap[at] = moved;
}
