import type { Changes } from './changes';
import type { Snapshot } from './snapshot';

export const BAN_REASON_MAX = 500;

interface Ban {
  readonly status: 'active' | 'banned';
  readonly bannedUntil?: Date | undefined;
}

/**
 * Whether a ban was over at that time of the database. The document says `banned` until a write.
 */
export const isBanOver = ({ status, bannedUntil }: Ban, at: Date): boolean =>
  status === 'banned' && bannedUntil !== undefined && bannedUntil <= at;

/** Whether the user could sign in when it was seen. */
export const isActive = (seen: Ban & Pick<Snapshot, 'readAt'>): boolean =>
  seen.status === 'active' || isBanOver(seen, seen.readAt);

export const NO_BAN: Changes = { status: 'active', bannedUntil: null, banReason: null };
