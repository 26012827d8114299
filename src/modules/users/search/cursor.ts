import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Secrets } from '../../../kernel/crypto/encryption';

/** A place between two rows of a list, and the side of it on which the page lies. */
export interface Position {
  readonly side: 'after' | 'before';
  /** Whether the named row belongs to the page. */
  readonly isInclusive: boolean;
  /** The row's value of the sort field; ms of a time. */
  readonly value: string | number;
  /** Its `_id`. */
  readonly id: string;
}

/** The same place, seen from the other side. */
export const flipped = (position: Position): Position => ({
  ...position,
  side: position.side === 'after' ? 'before' : 'after',
  isInclusive: !position.isInclusive,
});

export interface Cursors {
  /** `context`: the order and the filters. The cursor is refused with any other. */
  encode(context: string, position: Position): string;
  /** Undefined: not a cursor of this deployment, version and context. */
  decode(context: string, cursor: string): Position | undefined;
}

const VERSION = 2;
const HEAD_BYTES = 2;
const MAC_BYTES = 16;
const MACS_MAX = 4;
const MARKS: Readonly<Record<string, Pick<Position, 'side' | 'isInclusive'>>> = {
  '>': { side: 'after', isInclusive: false },
  '>=': { side: 'after', isInclusive: true },
  '<': { side: 'before', isInclusive: false },
  '<=': { side: 'before', isInclusive: true },
};

/**
 * `version, number of MACs, MACs, JSON [mark, value, id]` in base64url. One MAC under each secret
 * of the deployment: during a change of secrets hosts that have only one of them accept each
 * other's cursors. The same position always gives the same cursor, which the ETag of a page needs.
 */
export function createCursors(secrets: Secrets): Cursors {
  const keys = secrets
    .slice(0, MACS_MAX)
    .map((secret) => Buffer.from(hkdfSync('sha256', secret, '', 'cursors of lists', 32)));
  const macOf = (key: Buffer, context: string, payload: Buffer): Buffer =>
    createHmac('sha256', key)
      .update(`${VERSION}\n${context}\n`)
      .update(payload)
      .digest()
      .subarray(0, MAC_BYTES);

  return {
    encode(context, { side, isInclusive, value, id }) {
      const mark = `${side === 'after' ? '>' : '<'}${isInclusive ? '=' : ''}`;
      const payload = Buffer.from(JSON.stringify([mark, value, id]));
      const macs = keys.map((key) => macOf(key, context, payload));
      const head = Buffer.from([VERSION, macs.length]);
      return Buffer.concat([head, ...macs, payload]).toString('base64url');
    },
    decode(context, cursor) {
      const bytes = Buffer.from(cursor, 'base64url');
      const [version, count = 0] = bytes;
      const start = HEAD_BYTES + count * MAC_BYTES;
      if (version !== VERSION || count > MACS_MAX || bytes.length <= start) return undefined;
      const payload = bytes.subarray(start);
      const macs = Array.from({ length: count }, (_, i) =>
        bytes.subarray(HEAD_BYTES + i * MAC_BYTES, HEAD_BYTES + (i + 1) * MAC_BYTES),
      );
      const isOurs = keys.some((key) => {
        const expected = macOf(key, context, payload);
        return macs.some((mac) => timingSafeEqual(mac, expected));
      });
      return isOurs ? positionOf(payload) : undefined;
    },
  };
}

/** The payload is signed: it has the form that `encode` gave it. */
function positionOf(payload: Buffer): Position | undefined {
  const [mark, value, id] = JSON.parse(payload.toString('utf8')) as [
    string,
    string | number,
    string,
  ];
  const place = MARKS[mark];
  return place === undefined ? undefined : { ...place, value, id };
}
