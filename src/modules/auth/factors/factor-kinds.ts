import type { z } from 'zod';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { Amr } from '../sessions/authentication';

/**
 * A kind of second factor: TOTP, recovery codes, passkeys. The sign-in, the list and the
 * administration of factors know kinds only through this port.
 */
export interface FactorKind {
  /** Its name in requests and answers: `totp`, `recovery_code`, `passkey`. */
  readonly kind: string;
  /** The members of a body beside `factor: kind`; strict. */
  readonly proof: z.ZodObject;
  /** Whether an account with nothing else has a second factor. Recovery codes only replace one. */
  readonly isPrimary: boolean;
  /** Whether a sign-in can ask this account for it. One query by an index, on every login. */
  isEnrolled(userId: string): Promise<boolean>;
  /** The enrolled ones, for the owner and for the export of personal data: no secret. */
  list(userId: string): Promise<readonly EnrolledFactor[]>;
  /**
   * Checks the client's input for this kind. An accepted input is used up, over all hosts.
   * Counts a wrong one. Throws the Problem of a refusal.
   */
  verify(proof: FactorProof): Promise<VerifiedFactor>;
  /**
   * Confirms the enrolment that is pending, by the same input: the factor is verified and added.
   * `adding`: once the input was found right, before the factor is added.
   */
  confirmEnrollment?(proof: FactorProof, adding: () => Promise<void>): Promise<VerifiedFactor>;
  /** False: the account has no such factor, or `until` has come (`signInWaysLock`). */
  remove(userId: string, id: string, until?: Date): Promise<boolean>;
  /**
   * Removes every factor of the kind, and pending enrolments. Resolves with their number.
   * Idempotent. `before`: from now on, sessions of a version below it add none, even by a command
   * that was sent earlier and arrives later.
   */
  removeAll(userId: string, before?: number): Promise<number>;
  /** Removes all data of a removed user. */
  purge(userId: string): Promise<void>;
}

export interface FactorProof {
  readonly userId: string;
  /** Id of the session, or digest of the `mfa_token`, to which a challenge was issued. */
  readonly holder: string;
  /** The session version on which the proof rests. */
  readonly version: number;
  readonly client: ClientInfo;
  /** As `proof` has parsed it. */
  readonly input: Readonly<Record<string, unknown>>;
}

export interface VerifiedFactor {
  /** Its methods (RFC 8176): they are added to those of the first step, with `mfa`. */
  readonly amr: Amr;
  /** Of the factor that was used. */
  readonly id: string;
  /** Of recovery codes: how many are left. */
  readonly codesLeft?: number;
}

export interface EnrolledFactor {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly lastUsedAt?: Date | undefined;
  /** Of recovery codes. */
  readonly remaining?: number;
}
