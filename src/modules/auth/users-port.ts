import type { z } from 'zod';
import type { Role } from '../../kernel/permissions';
import type { Cause } from '../domain-events';
import type { PendingEnds } from './revocations/pending-ends';

/**
 * The operations on users that authentication needs, in its own words. The app passes the
 * implementation of the module that keeps them.
 */

/** The one session that outlived the last end of all others. */
export interface KeptSession {
  readonly sid: string;
  /** Its access tokens of this session version and later are still good. */
  readonly ver: number;
}

/** Decides whether a session stands. */
interface Standing {
  readonly status: 'active' | 'banned';
  readonly sessionVersion: number;
  readonly kept: KeptSession | null;
  /** Sessions whose access tokens are refused. */
  readonly revoked: readonly string[];
}

/** A user as every request needs it. No hash, no secret. */
export interface Account extends Standing {
  readonly id: string;
  readonly role: Role;
  readonly emailVerified: boolean;
  readonly etag: string;
  /** The JSON that clients see, ready to send. */
  readonly body: Buffer;
}

export interface Credentials {
  readonly id: string;
  readonly role: Role;
  readonly status: 'active' | 'banned';
  readonly sessionVersion: number;
  readonly passwordHash: string;
  readonly email: string;
  readonly emailVerified: boolean;
  /** An earlier address was verified: the factors and links of the account are its owner's. */
  readonly hadVerifiedEmail: boolean;
  /** The login asks for a new password. */
  readonly mustChangePassword: boolean;
  /** The session version that the present password began with: 0 where it is the first. */
  readonly passwordVersion: number;
}

interface Identity {
  readonly name: string;
  readonly email: string;
  readonly emailVerified: boolean;
}

export interface NewAccount {
  readonly name: string;
  readonly email: string;
  readonly passwordHash: string;
  readonly role: Role;
  /** As `userMetadata` has parsed it. */
  readonly userMetadata?: Readonly<Record<string, unknown>> | undefined;
  /** Default: a new one. An account that exists with it is the answer to an earlier attempt. */
  readonly id?: string;
  /** Several requests may create it at once. All but one of them get 409 `email_taken`. */
  readonly hasSharedId?: boolean;
  readonly emailVerified?: boolean;
}

/**
 * The account at the moment when the requester was found to be its owner. A write that rests on it
 * is refused when it no longer holds.
 */
interface Proof {
  readonly email: string;
  readonly passwordHash: string;
  /** Given where the request must fail once sessions were ended. */
  readonly sessionVersion?: number | undefined;
}

export interface UsersPort {
  /** A user as clients see it. */
  readonly view: z.ZodType;
  /** The metadata that a user may give itself. */
  readonly userMetadata: z.ZodType<Readonly<Record<string, unknown>>>;
  /** The rule of revocation: whether a session with a token of version `ver` still stands. */
  readonly sessionStands: (user: Standing, sid: string, ver: number) => boolean;
  /** From the local cache alone, without a promise; undefined: ask `get`. */
  readonly peek: (id: string) => Account | null | undefined;
  /** Cached, with the cache's claim. */
  readonly get: (id: string) => Promise<Account | null>;
  /** From the database itself, past every cache. */
  readonly stored: (id: string) => Promise<Account | null>;
  readonly identity: (id: string) => Promise<Identity | null>;
  readonly credentialsByEmail: (email: string) => Promise<Credentials | null>;
  readonly credentialsById: (id: string) => Promise<Credentials | null>;
  /** The parameters of the hashes in use, without salts and digests, by a sample. */
  readonly sampleHashParameters: () => Promise<readonly string[]>;
  /** Throws 409 `email_taken`. A cause without an actor: the user registers. */
  readonly create: (account: NewAccount, cause: Cause) => Promise<Account>;
  /** Another hash of the same password. Nothing happens when `from` is no longer the hash. */
  readonly rehash: (id: string, from: string, to: string) => Promise<void>;
  /**
   * Ends every session. False, and nothing done: `email` is no longer the account's address.
   */
  readonly setPassword: (id: string, passwordHash: string, email: string) => Promise<boolean>;
  /** Ends every session and verifies the address. False: the proof no longer holds. */
  readonly resetPassword: (id: string, passwordHash: string, proof: Proof) => Promise<boolean>;
  /** Ends every session. null: the proof no longer holds. */
  readonly replacePassword: (
    id: string,
    passwordHash: string,
    proof: Proof,
  ) => Promise<Account | null>;
  /** Ends every session but `keep`. False: `from` is not the hash, or `keep` has ended. */
  readonly changePassword: (
    id: string,
    from: string,
    to: string,
    keep: KeptSession,
  ) => Promise<boolean>;
  /** Verifies `email`, the present address or a new one. False: the proof no longer holds. */
  readonly confirmEmail: (id: string, email: string, proof: Proof) => Promise<boolean>;
  /** Claims that the settings add to the access tokens of a user. */
  readonly tokenClaims: (user: {
    readonly body?: Buffer;
  }) => Readonly<Record<string, string | number | boolean>>;
  /** Records the time of a login, at most once an hour. */
  readonly noteLogin: (id: string) => Promise<void>;
  /** Resolves when no verifier of another service accepts the ended tokens of these users. */
  readonly tokensEnded: (ids: readonly string[]) => Promise<void>;
  /** Ends of tokens that the log of revocations does not have yet. */
  readonly pendingEnds: PendingEnds;
  /** From the primary of the database. */
  readonly exists: (id: string) => Promise<boolean>;
  /** Those of the ids whose removal has not been committed for good: a failover may undo it. */
  readonly existing: (ids: readonly string[]) => Promise<ReadonlySet<string>>;
  /** After these two have resolved, every worker refuses the tokens of those sessions. */
  readonly endSessions: (
    id: string,
    end: { readonly keep?: KeptSession | undefined },
  ) => Promise<boolean>;
  /** Resolves true for the call that ended one of them. */
  readonly revokeSessions: (
    id: string,
    sids: readonly string[],
    until: Date,
    keep?: KeptSession,
  ) => Promise<boolean>;
}
