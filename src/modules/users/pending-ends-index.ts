/** The field that the index covers and its query names. */
export const hasPendingEnds = { 'pendingEnds.mark': { $gt: '' } } as const;

export const PENDING_ENDS_INDEX = 'by_pending_ends';

/**
 * Set by each write that ends tokens, in the same atomic update: the log of revocations does not
 * have it yet. It says what ended; the rest of the document says how it is now.
 */
export interface PendingEndsMark {
  /** Random: moved ends are cleared only while no other session has ended. */
  readonly mark: string;
  /** The session version has grown. */
  readonly all?: boolean;
  /** Sessions that ended one by one. */
  readonly sids?: readonly string[];
}
