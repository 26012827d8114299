/**
 * Tokens of one subject that have ended, as its document says now. Sending the same again, or an
 * older form after a newer one, ends nothing else: versions only grow.
 */
export interface PendingEnd {
  /** A user or a service account. */
  readonly subject: string;
  readonly isService?: boolean;
  /** Changes with every end: see `clear`. */
  readonly mark: string;
  /** The subject is gone, and every token of it has ended. */
  readonly isRemoved?: boolean;
  /** Tokens of lower versions have ended, but for those of `kept`. */
  readonly version?: number;
  readonly kept?: { readonly sid: string; readonly ver: number } | undefined;
  /** Sessions that have ended one by one. */
  readonly sessions?: readonly string[];
  /** Tokens that have ended one by one, by their `jti`. */
  readonly tokens?: readonly string[];
}

/**
 * A store whose documents say in the same atomic write that tokens have ended, and that the log
 * does not have it yet. All reads are from the primary.
 */
export interface PendingEnds {
  /** Of these subjects, or of any. */
  read(subjects: readonly string[] | undefined, limit: number): Promise<readonly PendingEnd[]>;
  /** The log has them. Changes since the read stay pending. */
  clear(moved: readonly PendingEnd[]): Promise<void>;
}
