import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { normalizePassword } from '../password-rules';
import {
  assertBlock,
  BLOCK_BYTES,
  blocksOf,
  decodeHeader,
  entriesPerBlock,
  ListError,
  type ListHeader,
  prefixOf,
} from './list-format';

/** Reads blocks of the file as it needs them: 4 KiB of memory for each lookup. */
export interface CompromisedList {
  readonly header: ListHeader;
  /** Throws ListError where a block that it reads is damaged. */
  has(password: string): Promise<boolean>;
  /** Blocks the thread for a few reads: for worker threads and commands. */
  hasSync(password: string): boolean;
  /** Reads the whole file. Throws ListError where it is damaged. */
  verify(progress?: (doneBytes: number, totalBytes: number) => void): void;
  close(): Promise<void>;
}

const readAsync = promisify(read);

/** Throws ListError, and errors of the file system. */
export function openCompromisedList(path: string): CompromisedList {
  const fd = openSync(path, 'r');
  try {
    return listOf(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function listOf(fd: number): CompromisedList {
  const stat = fstatSync(fd);
  if (!stat.isFile()) throw new ListError('is not a file');
  const first = Buffer.alloc(BLOCK_BYTES);
  const header = decodeHeader(first.subarray(0, readSync(fd, first, 0, BLOCK_BYTES, 0)), stat.size);

  function readBlockSync(index: number): Buffer {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    const bytes = readSync(fd, block, 0, BLOCK_BYTES, (1 + index) * BLOCK_BYTES);
    return checked(block, bytes);
  }
  async function readBlock(index: number): Promise<Buffer> {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    const position = (1 + index) * BLOCK_BYTES;
    const { bytesRead } = await readAsync(fd, block, 0, BLOCK_BYTES, position);
    return checked(block, bytesRead);
  }
  const blocks = blocksOf(header);
  for (const index of new Set([0, blocks - 1])) if (blocks > 0) readBlockSync(index);

  return {
    header,
    async has(password) {
      for (const spelling of spellingsOf(password)) {
        const search = searchFor(prefixOf(spelling, header.prefixBytes), header);
        let step = search.next();
        while (step.done !== true) step = search.next(await readBlock(step.value));
        if (step.value) return true;
      }
      return false;
    },
    hasSync(password) {
      return spellingsOf(password).some((spelling) => {
        const search = searchFor(prefixOf(spelling, header.prefixBytes), header);
        let step = search.next();
        while (step.done !== true) step = search.next(readBlockSync(step.value));
        return step.value;
      });
    },
    verify: (progress) => verify(header, readBlockSync, progress),
    close: async () => closeSync(fd),
  };
}

/** Leaked lists have what was typed; this service hashes NFC. */
const spellingsOf = (password: string) => [...new Set([normalizePassword(password), password])];

function checked(block: Buffer, bytes: number): Buffer {
  if (bytes !== BLOCK_BYTES) throw new ListError('is damaged: a block is missing');
  assertBlock(block);
  return block;
}

/** Steps by interpolation, of which two or three suffice for digests, before it bisects. */
const INTERPOLATIONS = 6;

/** Yields the index of a block to read; gets that block; returns whether the prefix is listed. */
function* searchFor(target: number, header: ListHeader): Generator<number, boolean, Buffer> {
  const { prefixBytes } = header;
  let [low, high] = [0, blocksOf(header)];
  let [lowValue, highValue] = [0, 2 ** (8 * prefixBytes)];
  for (let step = 0; low < high; step += 1) {
    const part = step < INTERPOLATIONS ? (target - lowValue) / (highValue - lowValue) : 0.5;
    const index = Math.min(high - 1, low + Math.floor(part * (high - low)));
    const block = yield index;
    const entries = entriesIn(index, header);
    const entry = (at: number) => block.readUIntBE(at * prefixBytes, prefixBytes);
    const [first, last] = [entry(0), entry(entries - 1)];
    if (target >= first && target <= last) return isAmong(target, entries, entry);
    if (target < first) [high, highValue] = [index, first];
    else [low, lowValue] = [index + 1, last];
  }
  return false;
}

function entriesIn(index: number, { count, prefixBytes }: ListHeader): number {
  const most = entriesPerBlock(prefixBytes);
  return Math.min(most, count - index * most);
}

function isAmong(target: number, entries: number, entry: (at: number) => number): boolean {
  let [low, high] = [0, entries - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const value = entry(middle);
    if (value === target) return true;
    if (value < target) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}

function verify(
  header: ListHeader,
  readBlock: (index: number) => Buffer,
  progress: (doneBytes: number, totalBytes: number) => void = () => {},
): void {
  const { prefixBytes, checksum } = header;
  const hash = createHash('sha256');
  const blocks = blocksOf(header);
  let before = -1;
  for (let index = 0; index < blocks; index += 1) {
    const block = readBlock(index);
    hash.update(block);
    for (let at = 0; at < entriesIn(index, header); at += 1) {
      const value = block.readUIntBE(at * prefixBytes, prefixBytes);
      if (value <= before) throw new ListError(`is damaged: block ${index + 1} is not sorted`);
      before = value;
    }
    progress((index + 1) * BLOCK_BYTES, blocks * BLOCK_BYTES);
  }
  if (!hash.digest().equals(checksum)) throw new ListError('is damaged: another checksum');
}
