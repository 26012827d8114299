import type { Encrypted } from '../../../kernel/crypto/encryption';

/** A used refresh token within its grace window, and its answer, encrypted with that token. */
export interface UsedToken {
  readonly hash: string;
  readonly until: Date;
  readonly answer: Encrypted;
}

export interface SessionRow {
  /** The session's id, 24 hexadecimal digits; `sid` of its access tokens. */
  readonly _id: string;
  readonly userId: string;
  /** SHA-256 of the family proof of its refresh tokens. */
  readonly family: string;
  /** SHA-256 of the current refresh token. */
  readonly tokenHash: string;
  readonly used: readonly UsedToken[];
  /** Session version of the user when the current access token was issued. */
  readonly version: number;
  readonly createdAt: Date;
  /** How the user has authenticated (authentication.ts). Absent: of an earlier version, `pwd`. */
  readonly amr?: readonly string[];
  /** The methods of the first step, where a further factor came after it. */
  readonly firstAmr?: readonly string[];
  /** The last login or step-up. Absent: `createdAt`. */
  readonly authenticatedAt?: Date;
  /**
   * The factors of the account have changed since: only the first step counts, and not as recent.
   */
  readonly stepUpEnded?: boolean;
  readonly lastUsedAt: Date;
  /** Idle expiry, at most the absolute one. A row past it is not valid, even before its removal. */
  readonly until: Date;
  readonly absoluteUntil: Date;
  /** Expiry of the latest access token. Its lifetime may have been another setting then. */
  readonly accessUntil?: Date;
  /** The refresh tokens travel in a cookie, and are accepted from nowhere else. */
  readonly inCookie?: true;
  /** RFC 7638 thumbprint of the key by which each refresh needs a proof (RFC 9449). */
  readonly dpopJkt?: string;
  readonly userAgent: string;
  readonly ipPrefix: string;
  /** When a refresh was last refused although its token was right. */
  readonly misusedAt?: Date;
  /** Set first when a session is ended: no refresh succeeds after it. */
  readonly endedAt?: Date;
}

/** A row, and the database's time of the read, with which its times are compared. */
export type FoundSession = SessionRow & { readonly readAt: Date };

/** Whether the token can refresh: the current one, or a used one within its grace window. */
export const isLive = ({ tokenHash, used, readAt }: FoundSession, hash: string): boolean =>
  tokenHash === hash || used.some((one) => one.hash === hash && one.until > readAt);
