import {
  createEmailConfirmation,
  type EmailConfirmation,
  type EmailConfirmationDependencies,
} from './email-confirmation';
import { createInvitations, type Invitations, type InvitationsDependencies } from './invitations';
import { createMailJobs, type MailJobs, type MailJobsDependencies } from './mail-jobs';
import { createMailboxReset, type MailboxResetDependencies } from './mailbox-reset';
import {
  createPasswordReset,
  type PasswordReset,
  type PasswordResetDependencies,
} from './password-reset';

/** Everything that goes through a mailbox. */
export interface MailFlows
  extends EmailConfirmation,
    PasswordReset,
    Invitations,
    Pick<
      MailJobs,
      | 'passwordChanged'
      | 'factorNotice'
      | 'emailChanged'
      | 'newDevice'
      | 'identityChanged'
      | 'webhookDisabled'
      | 'revokeLinks'
    > {
  /** Throws 409 `mail_not_configured`. */
  assertMailConfigured(): void;
}

export type MailFlowsDependencies = MailJobsDependencies &
  MailboxResetDependencies &
  Omit<
    EmailConfirmationDependencies & PasswordResetDependencies & InvitationsDependencies,
    'jobs' | 'resetByMailbox'
  >;

export function createMailFlows(deps: MailFlowsDependencies): MailFlows {
  const jobs = createMailJobs(deps);
  const resetByMailbox = createMailboxReset(deps);
  const { passwordChanged, factorNotice, emailChanged, newDevice } = jobs;
  const { identityChanged, webhookDisabled, revokeLinks } = jobs;
  return {
    ...createEmailConfirmation({ ...deps, jobs }),
    ...createPasswordReset({ ...deps, jobs, resetByMailbox }),
    ...createInvitations({ ...deps, jobs, resetByMailbox }),
    assertMailConfigured: deps.delivery.assertConfigured,
    ...{ passwordChanged, factorNotice, emailChanged, newDevice },
    ...{ identityChanged, webhookDisabled, revokeLinks },
  };
}
