import type { Scope } from '../../../kernel/permissions';

export interface AccountRow {
  readonly _id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** SHA-256: the secret is random and long. */
  readonly secretHash: string;
  readonly secretPrefix: string;
  readonly createdBy: string;
  readonly createdAt: Date;
  /** Absent until a token was revoked. */
  readonly tokenVersion?: number;
  readonly revokedTokens?: readonly { readonly jti: string; readonly until: Date }[];
  /** Nobody finds the account any more. It stays until the log of revocations has its end. */
  readonly revokedAt?: Date;
  readonly pendingEnds?: PendingAccountEnds;
}

/** Set by each write that ends tokens: the log of revocations does not have it yet. */
interface PendingAccountEnds {
  /** Random: moved ends are cleared only while no other token has ended. */
  readonly mark: string;
  /** The token version has grown, or the account is revoked. */
  readonly all?: boolean;
  /** Tokens that ended one by one. */
  readonly tokens?: readonly string[];
}
