import type { SplitRecord } from './split';

/**
 * Some records of an uploaded file in one buffer: their number, the line and the length of each,
 * then their bytes. A chunk is the unit of work of an import, and of its checkpoints.
 */
export function packChunk(records: readonly SplitRecord[]): Buffer {
  const head = Buffer.alloc(4 + 8 * records.length);
  head.writeUInt32LE(records.length, 0);
  records.forEach(({ line, bytes, isTooLong }, i) => {
    head.writeUInt32LE(line, 4 + 8 * i);
    head.writeUInt32LE(isTooLong ? bytes.length + TOO_LONG : bytes.length, 8 + 8 * i);
  });
  return Buffer.concat([head, ...records.map(({ bytes }) => bytes)]);
}

/** Far more than a record may have. */
const TOO_LONG = 0x80000000;

export function unpackChunk(chunk: Buffer): SplitRecord[] {
  const count = chunk.readUInt32LE(0);
  let from = 4 + 8 * count;
  return Array.from({ length: count }, (_, i) => {
    const line = chunk.readUInt32LE(4 + 8 * i);
    const stated = chunk.readUInt32LE(8 + 8 * i);
    const isTooLong = stated >= TOO_LONG;
    const bytes = chunk.subarray(from, from + (isTooLong ? stated - TOO_LONG : stated));
    from += bytes.length;
    return { line, bytes, isTooLong };
  });
}
