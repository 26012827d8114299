import type { Subscribers } from '../../platform/events';
import type { DomainEvents } from '../domain-events';
import type { Recorder } from './recorder';

/** Of accounts, and of work on many of them. */
export const userRows = ({ success, failure }: Recorder): Subscribers<DomainEvents> => ({
  UserCreated: ({ userId: subject, actor = subject, ...event }) =>
    success(
      { ...event, actor },
      { type: actor === subject ? 'registered' : 'account_created', subject },
    ),
  RoleChanged: (event) =>
    success(event, { type: 'role_set', subject: event.userId, reason: event.role }),
  MetadataChanged: ({ userId: subject, members, ...event }) =>
    success(event, { type: 'metadata_changed', subject, reason: members.join(' ') }),
  StatusChanged: (event) => {
    const { userId: subject, status, until, reason: note, isOver } = event;
    const type = status === 'banned' ? 'account_banned' : 'account_unbanned';
    const reason = isOver === true ? 'expired' : until && `until ${until.toISOString()}`;
    success(event, { type, subject, ...(reason && { reason }), ...(note && { note }) });
  },
  PasswordChangeRequired: (event) => {
    const reason = event.endsSessions ? 'sessions_ended' : 'sessions_kept';
    success(event, { type: 'password_change_required', subject: event.userId, reason });
  },
  EmailChangeRequested: (event) =>
    success(event, { type: 'email_change_requested', subject: event.userId }),
  EmailChanged: (event) => success(event, { type: 'email_changed', subject: event.userId }),
  EmailVerified: (event) => success(event, { type: 'email_verified', subject: event.userId }),
  UserRemoved: (event) => success(event, { type: 'account_removed', subject: event.userId }),
  ChangeUnconfirmed: (event) =>
    failure(event, { type: 'change_unconfirmed', subject: event.userId }),
  InvitationSent: (event) => success(event, { type: 'invitation_sent', subject: event.userId }),
  InvitationAccepted: ({ userId, client }) =>
    success({ actor: userId, client }, { type: 'invitation_accepted', subject: userId }),
  PersonalDataExported: ({ userId, client }) =>
    success({ actor: userId, client }, { type: 'personal_data_exported', subject: userId }),
  AccountUnlocked: (event) => success(event, { type: 'account_unlocked', subject: event.userId }),
  UsersImportRequested: ({ jobId: subject, dryRun, ...event }) =>
    success(event, {
      type: 'import_requested',
      subject,
      ...(dryRun && { reason: 'dry_run' }),
    }),
  JobCancelled: ({ jobId: subject, ...event }) =>
    success(event, { type: 'job_cancelled', subject }),
  JobReportRead: ({ jobId: subject, ...event }) =>
    success(event, { type: 'job_report_read', subject }),
  UsersImported: ({ jobId: subject, state: reason, ...event }) => {
    // Told at least once, and the last of a job.
    const row = { type: 'users_imported', subject, reason, once: subject } as const;
    if (reason === 'done') success(event, row);
    else failure(event, row);
  },
  UsersExported: ({ format: reason, ...event }) =>
    success(event, { type: 'users_exported', reason }),
});
