import type { Format } from './format';

/** One record of a file, without its line end. */
export interface SplitRecord {
  /** Line of the file on which it begins, from 1. */
  readonly line: number;
  /** Of a record that is too long, the beginning. */
  readonly bytes: Buffer;
  readonly isTooLong: boolean;
}

export interface Splitter {
  /** The records that these bytes complete. */
  push(bytes: Buffer): SplitRecord[];
  /** The last record, where no line end follows it. */
  end(): SplitRecord[];
  /** So far. They cost time, though they are no records. */
  blankLines(): number;
}

const LF = 10;
const CR = 13;
const QUOTE = 34;
const COMMA = 44;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const SHOWN_BYTES = 1024;

/**
 * Splits a file into its records: lines of NDJSON, or records of CSV (RFC 4180), in which a quoted
 * field may contain line ends. Blank lines are skipped, and counted. Memory is bounded: a longer
 * record ends with its line, even within quotes, so that one missing quote does not swallow the
 * rest of the file.
 */
export function createSplitter(format: Format, maxBytes: number): Splitter {
  let parts: Buffer[] = [];
  let length = 0;
  let line = 1;
  let lineEnds = 0;
  let isQuoted = false;
  /** The quote before was the end of a quoted field, or the first half of an escaped quote. */
  let hasClosed = false;
  /** The byte before; undefined at the beginning of a record. */
  let previous: number | undefined;
  let isTooLong = false;
  let isFirst = true;
  let blankLines = 0;

  function keep(bytes: Buffer): void {
    if (bytes.length === 0 || isTooLong) return;
    parts.push(bytes);
    length += bytes.length;
    if (length <= maxBytes) return;
    isTooLong = true;
    parts = [Buffer.from(Buffer.concat(parts).subarray(0, SHOWN_BYTES))];
  }

  /** The kept bytes as a record; undefined where they are blank. */
  function take(): SplitRecord | undefined {
    const all = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    const bytes = trimmed(isFirst && all.subarray(0, 3).equals(BOM) ? all.subarray(3) : all);
    const record = bytes.length === 0 ? undefined : { line, bytes, isTooLong };
    if (record === undefined) blankLines += lineEnds;
    line += lineEnds;
    [parts, length, lineEnds, isQuoted, isTooLong, isFirst] = [[], 0, 0, false, false, false];
    [previous, hasClosed] = [undefined, false];
    return record;
  }

  /** Where the empty lines end that begin here. Millions of them cost next to nothing. */
  function afterBlankLines(bytes: Buffer, from: number): number {
    let at = from;
    if (length === 0 && lineEnds === 0) while (bytes[at] === LF) at += 1;
    if (at > from) isFirst = false;
    line += at - from;
    blankLines += at - from;
    return at;
  }

  /**
   * Whether the record goes on after the line of these bytes. Quotes open at the beginning of a
   * field only; in the middle of one they are a fault of this record alone.
   */
  function readQuotes(bytes: Buffer): boolean {
    if (format === 'ndjson' || bytes.length === 0) return isQuoted && !isTooLong;
    for (let at = bytes.indexOf(QUOTE); at !== -1; at = bytes.indexOf(QUOTE, at + 1)) {
      const before = at === 0 ? previous : bytes[at - 1];
      const opens = before === COMMA || before === undefined || (before === QUOTE && hasClosed);
      hasClosed = isQuoted;
      isQuoted = !isQuoted && opens;
    }
    previous = bytes.at(-1);
    hasClosed = hasClosed && previous === QUOTE;
    return isQuoted && !isTooLong;
  }

  return {
    push(bytes) {
      const records: SplitRecord[] = [];
      let from = afterBlankLines(bytes, 0);
      for (let end = bytes.indexOf(LF, from); end !== -1; end = bytes.indexOf(LF, from)) {
        const goesOn = readQuotes(bytes.subarray(from, end));
        lineEnds += 1;
        keep(bytes.subarray(from, goesOn ? end + 1 : end));
        const record = goesOn && !isTooLong ? undefined : take();
        if (record !== undefined) records.push(record);
        from = afterBlankLines(bytes, end + 1);
      }
      const rest = bytes.subarray(from);
      readQuotes(rest);
      // A copy: the caller may reuse its buffer.
      keep(Buffer.from(rest));
      return records;
    },
    end() {
      const record = take();
      return record === undefined ? [] : [record];
    },
    blankLines: () => blankLines,
  };
}

/** Without the CR of a line end, and empty where it is blank. */
function trimmed(bytes: Buffer): Buffer {
  const end = bytes.at(-1) === CR ? bytes.length - 1 : bytes.length;
  for (let at = 0; at < end; at += 1) {
    const byte = bytes[at];
    if (byte !== 32 && byte !== 9 && byte !== CR) return bytes.subarray(0, end);
  }
  return bytes.subarray(0, 0);
}
