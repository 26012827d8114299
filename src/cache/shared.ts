import { randomBytes } from 'node:crypto';
import type { Link } from './link';
import { ENTER, FILL, LEASE, LEAVE } from './scripts';

/** Where a value lives: the group that one write drops, and the value's own name in it. */
export interface Place {
  readonly group: string;
  readonly field: string;
}

/** The right to fill one value, until a writer comes or the lease expires. */
export interface Lease {
  readonly generation: string;
  readonly nonce: string;
  readonly token: string;
}

/** `absent`: nothing is known. `busy`: read the database and do not fill (a writer or another reader is at it). */
export type Found =
  | { readonly kind: 'value'; readonly bytes: Buffer }
  | { readonly kind: 'none' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'busy' }
  | { readonly kind: 'lease'; readonly lease: Lease };

export interface SharedCopies {
  read(generation: string, place: Place): Promise<Found>;
  lease(generation: string, place: Place): Promise<Found>;
  /** `bytes` null stores "there is none". Resolves with whether it was still wanted. */
  fill(lease: Lease, place: Place, bytes: Buffer | null, ttlMs: number): Promise<boolean>;
  enter(generation: string, group: string, token: string): Promise<void>;
  leave(generation: string, group: string, token: string): Promise<void>;
}

export interface SharedOptions {
  readonly prefix: string;
  readonly leaseTtlMs: number;
  readonly writerTtlMs: number;
}

/** Of the layout in Redis (keys, nonce, kind byte). Another layout takes another number, so that old bytes are never read. */
const LAYOUT = 'c1';
const NONCE_BYTES = 12;
const NONCE_LENGTH = 16; // base64url of 12 bytes
const VALUE = 0x56; // V
const NONE = 0x4e; // N
const NOTHING: Found = { kind: 'absent' };
const BUSY: Found = { kind: 'busy' };
const KNOWN_NONE: Found = { kind: 'none' };

export const newToken = (): string => randomBytes(NONCE_BYTES).toString('base64url');

/** What a stored value says, its nonce having been found current. A lease in its place means that somebody is filling it. */
function opened(stored: Buffer): Found {
  const kind = stored[NONCE_LENGTH];
  if (kind === VALUE) return { kind: 'value', bytes: stored.subarray(NONCE_LENGTH + 1) };
  return kind === NONE ? KNOWN_NONE : BUSY;
}

function current(nonce: Buffer, stored: Buffer): boolean {
  return nonce.length === NONCE_LENGTH && stored.length > NONCE_LENGTH && stored.compare(nonce, 0, NONCE_LENGTH, 0, NONCE_LENGTH) === 0;
}

export function createSharedCopies(link: Pick<Link, 'send' | 'run'>, options: SharedOptions): SharedCopies {
  const { prefix, leaseTtlMs, writerTtlMs } = options;
  const base = (generation: string, group: string): string => `${prefix}:${LAYOUT}:${generation}:{${group}}`;

  return {
    read(generation, place) {
      const root = base(generation, place.group);
      const nonceKey = `${root}:n`;
      return link.send(nonceKey, ['MGET', nonceKey, `${root}:v:${place.field}`]).then((reply) => {
        const [nonce, stored] = reply as [Buffer | null, Buffer | null];
        return nonce === null || stored === null || !current(nonce, stored) ? NOTHING : opened(stored);
      });
    },

    async lease(generation, place) {
      const root = base(generation, place.group);
      const token = newToken();
      const args = [newToken(), token, String(leaseTtlMs)];
      const reply = await link.run(LEASE, [`${root}:n`, `${root}:w`, `${root}:v:${place.field}`], args);
      const [code, data] = reply as [number, Buffer?];
      if (code === 2 && data !== undefined) return { kind: 'lease', lease: { generation, nonce: data.toString('latin1'), token } };
      return code === 3 && data !== undefined ? opened(data) : BUSY;
    },

    async fill(lease, place, bytes, ttlMs) {
      const root = base(lease.generation, place.group);
      const head = Buffer.from(`${lease.nonce}${bytes === null ? 'N' : 'V'}`, 'latin1');
      const stored = bytes === null ? head : Buffer.concat([head, bytes]);
      const args = [lease.nonce, lease.token, stored, String(ttlMs)];
      return (await link.run(FILL, [`${root}:n`, `${root}:v:${place.field}`], args)) === 1;
    },

    async enter(generation, group, token) {
      const root = base(generation, group);
      await link.run(ENTER, [`${root}:n`, `${root}:w`], [token, String(writerTtlMs)]);
    },

    async leave(generation, group, token) {
      const root = base(generation, group);
      await link.run(LEAVE, [`${root}:n`, `${root}:w`], [token]);
    },
  };
}
