import { z } from 'zod';
import type { ProblemCode } from '../../../kernel/problem-codes';
import { endpoint } from '../../../platform/http/endpoint';
import { objectId } from '../../../platform/http/fields';

const PROBLEMS: readonly ProblemCode[] = [
  'administrators_only',
  'exceeds_permissions',
  'user_not_found',
  'account_banned',
  'mail_not_configured',
  'too_many_mails',
  'mail_queue_full',
];

const common = {
  method: 'post',
  tag: 'users',
  access: 'user',
  permission: 'users:send_mail',
  params: z.strictObject({ id: objectId.meta({ description: 'Id of a user.' }) }),
  answers: { 202: { description: 'The mail is queued. Its link replaces an older one.' } },
} as const;

export const mailAdministrationEndpoints = {
  invite: endpoint({
    ...common,
    path: '/api/users/:id/invite',
    id: 'inviteUser',
    summary: 'Mail an account without a password the link to set one',
    problems: [...PROBLEMS, 'password_exists'],
  }),
  sendReset: endpoint({
    ...common,
    path: '/api/users/:id/send-password-reset',
    id: 'sendPasswordReset',
    summary: 'Mail an account with a password the link to set a new one',
    problems: [...PROBLEMS, 'no_password'],
  }),
};
