import { createReadStream, readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createGunzip, gunzipSync } from 'node:zlib';
import { ListError } from './list-format';

/** A file of `SHA1:count` lines. Range files are named by the first 5 digits, which lines omit. */
export interface HashFile {
  readonly path: string;
  readonly bytes: number;
}

const RANGE = /^([0-9a-f]{5})(\.txt)?(\.gz)?$/i;
const LISTED = /(^[0-9a-f]{5}|\.txt)(\.gz)?$/i;
const DIGEST_DIGITS = 40;
const RANGE_DIGITS = 5;
/** Digits that decide the first six bytes. */
const KEPT_DIGITS = 12;
/** Files that are read at once. */
const SMALL_BYTES = 1 << 20;
/** deflate packs at most about 1,000 to 1. */
const UNPACKED_MAX_BYTES = 1 << 28;
/** A line has 40 digits and a count. */
const LINE_MAX_BYTES = 256;

/** The files, and those in the folders that are named, in the order of their names. */
export function findHashFiles(paths: readonly string[]): HashFile[] {
  return paths.flatMap((path) => {
    const info = statOf(path);
    if (!info.isDirectory()) return [{ path, bytes: info.size }];
    const names = readdirSync(path).filter((name) => LISTED.test(name));
    if (names.length === 0) throw new ListError(`${path} has no files of hashes`);
    return names.sort().map((name) => {
      const file = join(path, name);
      return { path: file, bytes: statOf(file).size };
    });
  });
}

function statOf(path: string): Stats {
  try {
    return statSync(path);
  } catch {
    throw new ListError(`${path} cannot be read`);
  }
}

/**
 * Calls `take` with the first six bytes of each hash that was seen at least `minCount` times.
 * Throws ListError that names the line.
 */
export async function readHashes(
  { path, bytes }: HashFile,
  { minCount, take, read }: HashReading,
): Promise<void> {
  const lines = lineReader(path, minCount, take);
  try {
    // There are a million range files: a stream for each would take an hour.
    if (bytes <= SMALL_BYTES) lines.push(readSmall(path));
    else await readLarge(path, lines.push, read);
  } catch (error) {
    if (error instanceof ListError) throw error;
    throw new ListError(`${path} cannot be read: ${(error as Error).message}`);
  }
  lines.end();
  read(bytes);
}

const isGzip = (path: string) => /\.gz$/i.test(path);

function readSmall(path: string): Buffer {
  const bytes = readFileSync(path);
  return isGzip(path) ? gunzipSync(bytes, { maxOutputLength: UNPACKED_MAX_BYTES }) : bytes;
}

async function readLarge(
  path: string,
  push: (chunk: Buffer) => void,
  read: (bytes: number) => void,
): Promise<void> {
  const source = createReadStream(path, { highWaterMark: 1 << 20 });
  const decoded = isGzip(path) ? source.pipe(createGunzip({ chunkSize: 1 << 20 })) : source;
  source.once('error', (error) => decoded.destroy(error));
  for await (const chunk of decoded) {
    push(chunk as Buffer);
    read(source.bytesRead);
  }
}

export interface HashReading {
  readonly minCount: number;
  /** Gets the number of the first six bytes of a digest. */
  readonly take: (value: number) => void;
  /** Gets the bytes of the file read so far. */
  readonly read: (bytes: number) => void;
}

function lineReader(path: string, minCount: number, take: (value: number) => void) {
  const range = RANGE.exec(basename(path))?.[1];
  const prefix = range === undefined ? 0 : Number.parseInt(range, 16);
  const digits = DIGEST_DIGITS - (range === undefined ? 0 : RANGE_DIGITS);
  const kept = KEPT_DIGITS - (range === undefined ? 0 : RANGE_DIGITS);
  const base = prefix * 16 ** kept;
  let rest: Buffer = Buffer.alloc(0);
  let line = 0;

  const refuse = (reason: string) => new ListError(`${path}: line ${line} ${reason}`);

  function readLine(bytes: Buffer, from: number, end: number): void {
    line += 1;
    // A byte order mark, and Windows' ends of lines.
    const start = line === 1 && bytes[from] === 0xef ? from + 3 : from;
    const to = bytes[end - 1] === 0x0d ? end - 1 : end;
    if (to <= start) return;
    const value = numberOf(bytes, start, to);
    if (countOf(bytes, start + digits, to) >= minCount) take(base + value);
  }

  /** The number of the digits that are kept; all of them must be digits. */
  function numberOf(bytes: Buffer, start: number, to: number): number {
    let value = 0;
    for (let at = start; at < start + digits; at += 1) {
      const digit = at < to ? (DIGIT[bytes[at] as number] as number) : NO_DIGIT;
      if (digit === NO_DIGIT) throw refuse(`is not ${digits} hex digits and a count`);
      if (at < start + kept) value = value * 16 + digit;
    }
    return value;
  }

  /** A line without a count was seen once. */
  function countOf(bytes: Buffer, from: number, to: number): number {
    if (from === to) return 1;
    if (bytes[from] !== 0x3a || to === from + 1) throw refuse('has no count after its digits');
    let count = 0;
    for (let at = from + 1; at < to; at += 1) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) throw refuse('has a count that is no number');
      count = count * 10 + digit;
    }
    return count;
  }

  return {
    push(chunk: Buffer): void {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let from = 0;
      for (let end = bytes.indexOf(10, from); end !== -1; end = bytes.indexOf(10, from)) {
        readLine(bytes, from, end);
        from = end + 1;
      }
      rest = bytes.subarray(from);
      if (rest.length > LINE_MAX_BYTES) {
        line += 1;
        throw refuse(`is longer than ${LINE_MAX_BYTES} bytes`);
      }
    },
    end(): void {
      if (rest.length > 0) readLine(rest, 0, rest.length);
    },
  };
}

const NO_DIGIT = 255;
const DIGIT = Uint8Array.from({ length: 256 }, (_, code) => {
  const digit = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(digit) ? NO_DIGIT : digit;
});
