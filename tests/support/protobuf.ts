/** A message of protobuf: the values of each field, by number, in their order. */
export type Message = ReadonlyMap<number, readonly Value[]>;
/** Numbers of the wire types varint and fixed, or the bytes of a length-delimited field. */
export type Value = bigint | Buffer;

/** Reads the wire format (protobuf.dev/programming-guides/encoding); it knows no schema. */
export function readMessage(bytes: Buffer): Message {
  const fields = new Map<number, Value[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const fixed = (size: 4 | 8): bigint => {
    at += size;
    return size === 8 ? bytes.readBigUInt64LE(at - 8) : BigInt(bytes.readUInt32LE(at - 4));
  };
  const delimited = (): Buffer => {
    const length = Number(varint());
    at += length;
    if (at > bytes.length) throw new RangeError('a field is longer than its message');
    return bytes.subarray(at - length, at);
  };
  const readValue = (wireType: number): Value => {
    switch (wireType) {
      case 0:
        return varint();
      case 1:
        return fixed(8);
      case 2:
        return delimited();
      case 5:
        return fixed(4);
      default:
        throw new RangeError(`unknown wire type ${wireType}`);
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const value = readValue(tag & 7);
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value]);
  }
  return fields;
}

const isBytes = (value: Value | undefined): value is Buffer => Buffer.isBuffer(value);

export const messages = (message: Message, field: number): Message[] =>
  (message.get(field) ?? []).filter(isBytes).map(readMessage);

export function textOf(message: Message, field: number, encoding: BufferEncoding = 'utf8') {
  const value = message.get(field)?.[0];
  return isBytes(value) ? value.toString(encoding) : '';
}

export function numberOf(message: Message, field: number): number {
  const value = message.get(field)?.[0];
  return typeof value === 'bigint' ? Number(value) : 0;
}
