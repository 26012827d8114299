import type { Role } from '../../kernel/permissions';
import type { JsonObject, KeptSession } from './model';

export interface NewUser {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly passwordHash: string;
  readonly role: Role;
  readonly metadata?: MetadataChanges;
  /** A user who registers signs in by it. */
  readonly isSignedIn?: boolean;
  readonly emailVerified?: boolean;
}

/** Absent: as it is. null: none. */
export interface Changes extends MetadataChanges {
  readonly name?: string;
  readonly email?: string;
  readonly role?: Role;
  readonly status?: 'active' | 'banned';
  readonly passwordHash?: string;
  /** Goes with `email`, or alone with the present one. */
  readonly emailVerified?: boolean;
  readonly bannedUntil?: Date | null;
  readonly banReason?: string | null;
  readonly mustChangePassword?: boolean | null;
}

export interface UpdateOptions {
  /** Refuse when sessions were ended since the snapshot. */
  readonly sameSessions?: boolean;
  /** End every session opened so far, but for `keep`. */
  readonly endSessions?: EndSessions | undefined;
  readonly now: Date;
}

export interface EndSessions {
  /**
   * A session that goes on, and the version of the token at hand. Nothing is done unless it still
   * stands at that moment.
   */
  readonly keep?: KeptSession | undefined;
}

/** The stored members; null: none. */
export interface MetadataChanges {
  readonly userMetadata?: JsonObject | null;
  readonly appMetadata?: JsonObject | null;
  readonly privateMetadata?: JsonObject | null;
  readonly externalId?: string | null;
}
