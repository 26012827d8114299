/** How a client keeps the refresh tokens of the session that its request opens. */
export interface TokenBinding {
  /** In a cookie, never in the JSON of an answer. */
  readonly inCookie: boolean;
  /** RFC 7638 thumbprint of the key by which each refresh needs a proof (RFC 9449). */
  readonly dpopJkt: string | undefined;
}
