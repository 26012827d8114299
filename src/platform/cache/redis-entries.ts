import { randomToken } from '../../kernel/crypto/random';
import type { RedisConnection } from '../redis/connection';
import { MisdeliveredError } from '../redis/deployment';
import { ENTER, FILL, LEASE, LEAVE } from './scripts';

/** Where a value is stored: its group, and its own name in the group. */
export interface Place {
  readonly group: string;
  /**
   * Kind and key of the value: part of its Redis key, and of the stored bytes. No line feeds.
   */
  readonly field: string;
}

/** The right to fill one value, until a writer enters or the lease expires. */
export interface FillLease {
  readonly generation: string;
  readonly nonce: string;
  readonly token: string;
}

/**
 * `none`: known to be absent from the database. `absent`: Redis has no entry. `busy`: read the
 * database and do not fill, since a writer is in progress or another reader has the lease.
 */
export type Found =
  | { readonly kind: 'value'; readonly bytes: Buffer }
  | { readonly kind: 'none' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'busy' }
  | { readonly kind: 'lease'; readonly lease: FillLease };

export interface RedisEntries {
  read(generation: string, place: Place): Promise<Found>;
  lease(generation: string, place: Place): Promise<Found>;
  /** `bytes` null stores that there is no such value. False: a write came between. */
  fill(lease: FillLease, place: Place, bytes: Buffer | null, ttlMs: number): Promise<boolean>;
  enter(generation: string, group: string, token: string): Promise<void>;
  leave(generation: string, group: string, token: string): Promise<void>;
}

export interface RedisEntriesOptions {
  readonly prefix: string;
  readonly leaseTtlMs: number;
  readonly writerTtlMs: number;
}

/** Version of a group's nonce and writers: all processes on a database must use the same keys. */
const LAYOUT = 'c1';
/**
 * Version of a value's layout (nonce, kind byte, field, line feed, bytes): it changes with the
 * layout, so that old bytes are never read.
 */
const VALUES = 'v2';
const NONCE_BYTES = 12;
const NONCE_LENGTH = 16; // base64url of 12 bytes
const VALUE = 0x56; // V
const NONE = 0x4e; // N
const LINE_FEED = 10;
const ABSENT: Found = { kind: 'absent' };
const BUSY: Found = { kind: 'busy' };
const NO_VALUE: Found = { kind: 'none' };

export const newToken = (): string => randomToken(NONCE_BYTES);

/**
 * Reads a stored value whose nonce is current. A lease in its place means that another reader is
 * filling it. undefined: the value belongs to another place.
 */
function parse(stored: Buffer, { field }: Place): Found | undefined {
  const kind = stored[NONCE_LENGTH];
  if (kind !== VALUE && kind !== NONE) return BUSY;
  const end = stored.indexOf(LINE_FEED, NONCE_LENGTH + 1);
  if (end < 0 || stored.toString('utf8', NONCE_LENGTH + 1, end) !== field) return undefined;
  return kind === VALUE ? { kind: 'value', bytes: stored.subarray(end + 1) } : NO_VALUE;
}

function isCurrent(nonce: Buffer, stored: Buffer): boolean {
  return (
    nonce.length === NONCE_LENGTH &&
    stored.length > NONCE_LENGTH &&
    stored.compare(nonce, 0, NONCE_LENGTH, 0, NONCE_LENGTH) === 0
  );
}

const isBytes = (value: unknown): value is Buffer | null =>
  value === null || Buffer.isBuffer(value);

export function createRedisEntries(
  redis: Pick<RedisConnection, 'send' | 'run' | 'reset'>,
  options: RedisEntriesOptions,
): RedisEntries {
  const { prefix, leaseTtlMs, writerTtlMs } = options;
  const nameOf = (root: string, { field }: Place): string => `${root}:${VALUES}:${field}`;
  const base = (generation: string, group: string): string =>
    `${prefix}:${LAYOUT}:${generation}:{${group}}`;

  function misdelivered(): never {
    redis.reset();
    throw new MisdeliveredError('the reply has the value of another key');
  }

  /** From [nonce, value]. */
  function found(reply: unknown, place: Place): Found {
    if (!Array.isArray(reply) || reply.length !== 2 || !isBytes(reply[0]) || !isBytes(reply[1]))
      return misdelivered();
    const [nonce, stored] = reply as [Buffer | null, Buffer | null];
    if (nonce === null || stored === null || !isCurrent(nonce, stored)) return ABSENT;
    return parse(stored, place) ?? misdelivered();
  }

  return {
    read(generation, place) {
      const root = base(generation, place.group);
      const nonceKey = `${root}:n`;
      return redis
        .send(nonceKey, ['MGET', nonceKey, nameOf(root, place)])
        .then((reply) => found(reply, place));
    },

    async lease(generation, place) {
      const root = base(generation, place.group);
      const token = newToken();
      const args = [newToken(), token, String(leaseTtlMs)];
      const reply = await redis.run(LEASE, [`${root}:n`, `${root}:w`, nameOf(root, place)], args);
      const [code, data] = reply as [number, Buffer?];
      if (code === 2 && data !== undefined)
        return { kind: 'lease', lease: { generation, nonce: data.toString('latin1'), token } };
      return code === 3 && data !== undefined ? (parse(data, place) ?? misdelivered()) : BUSY;
    },

    async fill(lease, place, bytes, ttlMs) {
      const root = base(lease.generation, place.group);
      const head = Buffer.from(`${lease.nonce}${bytes === null ? 'N' : 'V'}${place.field}\n`);
      const stored = bytes === null ? head : Buffer.concat([head, bytes]);
      const args = [lease.nonce, lease.token, stored, String(ttlMs)];
      return (await redis.run(FILL, [`${root}:n`, nameOf(root, place)], args)) === 1;
    },

    async enter(generation, group, token) {
      const root = base(generation, group);
      await redis.run(ENTER, [`${root}:n`, `${root}:w`], [token, String(writerTtlMs)]);
    },

    async leave(generation, group, token) {
      const root = base(generation, group);
      await redis.run(LEAVE, [`${root}:n`, `${root}:w`], [token]);
    },
  };
}
