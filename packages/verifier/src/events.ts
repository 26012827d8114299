/** Background events, for logs and metrics. */
export type VerifierEvent =
  /** The verifier knows every token that was ended, and decides by itself. */
  | { readonly kind: 'current' }
  /** It has been silent for longer than its lease: see `whenSilent`. */
  | { readonly kind: 'silent'; readonly error: unknown }
  /** A look, a token request or the discovery failed. It will be tried again. */
  | { readonly kind: 'failed'; readonly step: string; readonly error: unknown }
  /** Its position in the log no longer exists: it reads the log from the beginning. */
  | { readonly kind: 'restarted' };
