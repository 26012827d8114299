import type { Subscribers } from '../../platform/events';
import type { BackgroundQueue } from '../../platform/jobs/background-queue';
import type { DomainEvents } from '../domain-events';
import { FEW_CODES } from './factors/recovery-codes';
import type { MailFlows } from './recovery/mail-flows';
import { PURPOSES } from './recovery/one-time-tokens';
import type { UsersPort } from './users-port';

export interface AuthSubscribersDependencies {
  readonly mails: Pick<
    MailFlows,
    | 'welcome'
    | 'passwordChanged'
    | 'factorNotice'
    | 'emailChanged'
    | 'identityChanged'
    | 'webhookDisabled'
    | 'revokeLinks'
  >;
  /** As users know it. */
  readonly providerName: (id: string) => string;
  readonly users: Pick<UsersPort, 'noteLogin'>;
  readonly backgroundQueue: Pick<BackgroundQueue, 'enqueue'>;
}

/** Notices by mail, the times of logins, and the clean-up after a ban. */
export function authSubscribers({
  mails,
  users,
  backgroundQueue,
  providerName,
}: AuthSubscribersDependencies): Subscribers<DomainEvents> {
  return {
    UserCreated({ userId, email, emailVerified, actor, client }) {
      if (actor === undefined && emailVerified !== true) mails.welcome(userId, email, client);
    },
    LoginSucceeded({ userId }) {
      // A login does not wait for it; one that is lost is made up for by the next.
      backgroundQueue.enqueue('note-login', () => users.noteLogin(userId));
    },
    PasswordChanged({ userId, job }) {
      if (job === undefined) mails.passwordChanged(userId);
    },
    FactorAdded: ({ userId }) => mails.factorNotice(userId, 'factor-added'),
    FactorRemoved: ({ userId }) => mails.factorNotice(userId, 'factor-removed'),
    RecoveryCodesReplaced: ({ userId }) => mails.factorNotice(userId, 'recovery-codes-replaced'),
    RecoveryCodeUsed({ userId, remaining }) {
      if (remaining <= FEW_CODES) mails.factorNotice(userId, 'recovery-codes-low');
    },
    EmailChanged({ userId, from }) {
      if (from !== undefined) mails.emailChanged(userId, from);
    },
    IdentityLinked: ({ userId, provider }) =>
      mails.identityChanged('identity-linked', userId, providerName(provider)),
    IdentityUnlinked: ({ userId, provider }) =>
      mails.identityChanged('identity-unlinked', userId, providerName(provider)),
    WebhookDisabled: ({ userId, host }) => mails.webhookDisabled(userId, host),
    StatusChanged({ userId, status, job }) {
      if (status === 'banned' && job === undefined)
        backgroundQueue.enqueue('revoke-links', () => mails.revokeLinks(userId, PURPOSES));
    },
  };
}
