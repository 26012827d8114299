/** The claims of a token about its session. */
export interface SessionAuth {
  /** The last login or step-up. */
  readonly signedInAt: Date;
  /** The methods of it, RFC 8176. */
  readonly amr: readonly string[];
  /** The latest expiry of its tokens. */
  readonly until: Date;
}
