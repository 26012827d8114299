import { createHash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { findHashFiles, readHashes } from './hash-lines';
import {
  BLOCK_BYTES,
  encodeHeader,
  entriesPerBlock,
  ListError,
  type ListHeader,
  signBlock,
} from './list-format';
import { createSortedRuns } from './sorted-runs';

export interface BuildOptions {
  /** Files of hashes, and folders of such files. */
  readonly inputs: readonly string[];
  readonly output: string;
  readonly prefixBytes: number;
  /** Hashes that were seen less often are left out. */
  readonly minCount: number;
  /** Memory for sorting, in hashes of 8 bytes. */
  readonly memoryEntries: number;
  readonly progress: (step: 'reading' | 'writing', done: number, total: number) => void;
}

export interface BuiltList extends ListHeader {
  readonly files: number;
  /** Hashes that were read; several may have one prefix. */
  readonly read: number;
}

const KEPT_BYTES = 6;

/**
 * Replaces `output` at once when the list is complete. Works in a folder beside it, which needs 8
 * bytes for each hash. Throws ListError.
 */
export async function buildList(options: BuildOptions): Promise<BuiltList> {
  const output = resolve(options.output);
  const folder = mkdtempSync(join(dirname(output), '.passwords-list-'));
  const sorted = createSortedRuns(folder, options.memoryEntries);
  try {
    const { files, read } = await readInputs(options, sorted.add);
    if (read === 0) throw new ListError('no hashes were found');
    const unfinished = join(folder, 'list');
    const header = writeList(unfinished, sorted.merged(), read, options);
    renameSync(unfinished, output);
    syncFolder(dirname(output));
    return { ...header, files, read };
  } finally {
    sorted.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function readInputs(
  { inputs, prefixBytes, minCount, progress }: BuildOptions,
  add: (value: number) => void,
): Promise<{ files: number; read: number }> {
  const files = findHashFiles(inputs);
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const divisor = 2 ** (8 * (KEPT_BYTES - prefixBytes));
  let [before, read] = [0, 0];
  for (const file of files) {
    await readHashes(file, {
      minCount,
      take(value) {
        read += 1;
        add(divisor === 1 ? value : Math.floor(value / divisor));
      },
      read: (bytes) => progress('reading', before + bytes, total),
    });
    before += file.bytes;
  }
  progress('reading', total, total);
  return { files: files.length, read };
}

function writeList(
  path: string,
  values: Iterable<number>,
  read: number,
  { prefixBytes, progress }: BuildOptions,
): ListHeader {
  const fd = openSync(path, 'wx', 0o644);
  try {
    const perBlock = entriesPerBlock(prefixBytes);
    const hash = createHash('sha256');
    let block = Buffer.alloc(BLOCK_BYTES);
    let [count, inBlock] = [0, 0];
    const flush = () => {
      hash.update(signBlock(block));
      // The header's block comes last, so a list that was not completed has none.
      writeSync(fd, block, 0, BLOCK_BYTES, BLOCK_BYTES * Math.ceil(count / perBlock));
      block = Buffer.alloc(BLOCK_BYTES);
      inBlock = 0;
      progress('writing', count, read);
    };
    for (const value of values) {
      block.writeUIntBE(value, inBlock * prefixBytes, prefixBytes);
      inBlock += 1;
      count += 1;
      if (inBlock === perBlock) flush();
    }
    if (inBlock > 0) flush();
    progress('writing', read, read);
    const header = { prefixBytes, count, checksum: hash.digest() };
    writeSync(fd, encodeHeader(header), 0, BLOCK_BYTES, 0);
    fsyncSync(fd);
    return header;
  } finally {
    closeSync(fd);
  }
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
