import type { Cause } from '../domain-events';

/** What users need of invitations by mail; the module that authenticates implements it. */
export interface InvitationsPort {
  /** Throws 409 `mail_not_configured`. */
  assertMailConfigured(): void;
  /** Mails the link to set the first password, after the answer. */
  inviteLater(userId: string, cause: Cause): void;
}
