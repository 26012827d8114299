import type { ClientInfo } from '../../../platform/http/client-info';
import type { Amr } from '../sessions/authentication';

/** The proofs of a user so far. */
export interface SignInStep {
  /** The methods of the step, RFC 8176. With `mfa`, no further factor is asked. */
  readonly amr: Amr;
  readonly client: ClientInfo;
  /** Until when the device is known; undefined: it is new, and the owner is told by mail. */
  readonly knownUntil?: Date | undefined;
  /** The account was created by this request: this is no login, and no news. */
  readonly isNew?: boolean;
}
