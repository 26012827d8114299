import { randomBytes } from 'node:crypto';

/**
 * `session (12 bytes) ‖ family proof (16) ‖ secret (32)` in base64url, opaque to clients. The
 * database holds hashes only. The family proof is the same in all tokens of a session: a token with
 * the right proof and an old secret was once issued, however long ago. This tells reuse from
 * guesses without keeping old hashes.
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

/**
 * The first token of a new family. A token of the old family can neither use nor end the session.
 */
export function renewedToken(sid: string): RefreshToken {
  return build(Buffer.from(sid, 'hex'), randomBytes(FAMILY_BYTES));
}

function build(sid: Buffer, family: Buffer): RefreshToken {
  return {
    text: Buffer.concat([sid, family, randomBytes(SECRET_BYTES)]).toString('base64url'),
    sid: sid.toString('hex'),
    family,
  };
}

export function parseRefreshToken(text: string): RefreshToken | undefined {
  if (!FORM.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  return {
    text,
    sid: bytes.toString('hex', 0, SID_BYTES),
    family: bytes.subarray(SID_BYTES, SID_BYTES + FAMILY_BYTES),
  };
}
