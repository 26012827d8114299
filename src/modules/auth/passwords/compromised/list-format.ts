import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * The file of a list of compromised passwords: a header block, then blocks of sorted prefixes of
 * SHA-1 digests, big-endian, without repeats. Every block ends with its CRC-32, so that a read
 * proves itself and nothing needs to be read at the start (ADR 31).
 */
export const BLOCK_BYTES = 4096;
const CRC_AT = BLOCK_BYTES - 4;
const MAGIC = 'cpw-list';
const VERSION = 1;

/** Up to 6 bytes are exact in a double. */
export const PREFIX_BYTES = { min: 4, max: 6 } as const;

export interface ListHeader {
  /** Bytes of each SHA-1 digest that are kept. */
  readonly prefixBytes: number;
  readonly count: number;
  /** SHA-256 of all blocks after the header. */
  readonly checksum: Buffer;
}

/** The file is not a list, or is damaged. The message is a predicate of the file. */
export class ListError extends Error {
  override readonly name = 'ListError';
}

export const entriesPerBlock = (prefixBytes: number): number => Math.floor(CRC_AT / prefixBytes);

export const blocksOf = ({ count, prefixBytes }: Pick<ListHeader, 'count' | 'prefixBytes'>) =>
  Math.ceil(count / entriesPerBlock(prefixBytes));

/**
 * The part of all prefixes that are listed: the chance that a password outside the list is refused.
 */
export const falsePositiveRate = ({ count, prefixBytes }: Omit<ListHeader, 'checksum'>): number =>
  count / 2 ** (8 * prefixBytes);

/** The prefix under which a password is listed. */
export const prefixOf = (password: string, prefixBytes: number): number =>
  createHash('sha1').update(password, 'utf8').digest().readUIntBE(0, prefixBytes);

/** Writes the CRC-32 of the block into its last bytes. */
export function signBlock(block: Buffer): Buffer {
  block.writeUInt32BE(crc32(block.subarray(0, CRC_AT)), CRC_AT);
  return block;
}

/** Throws ListError. It does not tell which block: that is a part of the digest looked up. */
export function assertBlock(block: Buffer): void {
  if (crc32(block.subarray(0, CRC_AT)) !== block.readUInt32BE(CRC_AT))
    throw new ListError('is damaged: a block has another checksum');
}

export function encodeHeader({ prefixBytes, count, checksum }: ListHeader): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(MAGIC, 0, 'latin1');
  block.writeUInt16BE(VERSION, 8);
  block.writeUInt16BE(prefixBytes, 10);
  block.writeUInt32BE(BLOCK_BYTES, 12);
  block.writeBigUInt64BE(BigInt(count), 16);
  checksum.copy(block, 24);
  return signBlock(block);
}

/** `fileBytes`: the length of the file, which must be that of the header. Throws ListError. */
export function decodeHeader(block: Buffer, fileBytes: number): ListHeader {
  if (block.length < BLOCK_BYTES || block.toString('latin1', 0, 8) !== MAGIC)
    throw new ListError('is not a list made by `npm run passwords -- build-list`');
  const version = block.readUInt16BE(8);
  if (version !== VERSION)
    throw new ListError(`has version ${version}; this service reads version ${VERSION}`);
  assertBlock(block);
  const prefixBytes = block.readUInt16BE(10);
  const count = Number(block.readBigUInt64BE(16));
  const checksum = Buffer.from(block.subarray(24, 56));
  const header = { prefixBytes, count, checksum };
  if (prefixBytes < PREFIX_BYTES.min || prefixBytes > PREFIX_BYTES.max)
    throw new ListError(`has prefixes of ${prefixBytes} bytes`);
  const expected = BLOCK_BYTES * (1 + blocksOf(header));
  if (fileBytes !== expected)
    throw new ListError(
      `is damaged: it has ${fileBytes} bytes, and ${expected} with ${count} entries`,
    );
  return header;
}
