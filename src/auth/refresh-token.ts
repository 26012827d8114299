import { createHash, randomBytes } from 'node:crypto';

/**
 * `session (12 bytes) ‖ family proof (16) ‖ secret (32)`, base64url: opaque to clients. The database holds hashes only.
 * The family proof stays the same over all rotations: who shows it with a secret that is not the present one has had a
 * token of this session in hand, however long ago, so reuse is told from guesses without keeping old hashes.
 */
export interface RefreshToken {
  readonly text: string;
  /** 24 hexadecimal digits. */
  readonly sid: string;
  readonly family: Buffer;
}

const SID_BYTES = 12;
const FAMILY_BYTES = 16;
const SECRET_BYTES = 32;
const CHARS = ((SID_BYTES + FAMILY_BYTES + SECRET_BYTES) * 4) / 3;
const FORM = new RegExp(`^[A-Za-z0-9_-]{${CHARS}}$`);

export function newRefreshToken(): RefreshToken {
  return build(randomBytes(SID_BYTES), randomBytes(FAMILY_BYTES));
}

/** The next token of the same session. */
export function successorOf({ sid, family }: RefreshToken): RefreshToken {
  return build(Buffer.from(sid, 'hex'), family);
}

function build(sid: Buffer, family: Buffer): RefreshToken {
  return { text: Buffer.concat([sid, family, randomBytes(SECRET_BYTES)]).toString('base64url'), sid: sid.toString('hex'), family };
}

export function parseRefreshToken(text: string): RefreshToken | undefined {
  if (!FORM.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  return { text, sid: bytes.toString('hex', 0, SID_BYTES), family: bytes.subarray(SID_BYTES, SID_BYTES + FAMILY_BYTES) };
}

/** The tokens are random and long: a plain hash cannot be searched back. */
export const digest = (value: string | Buffer): string => createHash('sha256').update(value).digest('base64url');
