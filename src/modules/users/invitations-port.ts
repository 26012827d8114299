import type { Cause } from '../domain-events';

/** The invitations by mail that users need; the module that authenticates implements them. */
export interface InvitationsPort {
  /** Throws 409 `mail_not_configured`. */
  assertMailConfigured(): void;
  /** Mails the link to set the first password, after the answer. */
  inviteLater(userId: string, cause: Cause): void;
}
