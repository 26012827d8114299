import { z } from 'zod';
import { endpoint } from '../../../platform/http/endpoint';
import { emailAddress, opaqueToken } from '../../../platform/http/fields';
import { offeredPassword } from '../sign-in/contract';

const tag = 'mail';
const mailToken = opaqueToken(
  'must be the token of a mail',
  'The mailed token. It expires and works once.',
);
const accepted = {
  202: { description: 'Accepted. A mail is sent if there is such an account.' },
};

export const mailEndpoints = (newPassword: z.ZodType<string>) => ({
  forgot: endpoint({
    method: 'post',
    path: '/api/auth/password/forgot',
    id: 'forgotPassword',
    summary:
      'Request a mail to set a new password; the answer does not reveal whether the account exists',
    tag,
    access: 'public',
    body: z.strictObject({ email: emailAddress }),
    answers: accepted,
    problems: ['mail_queue_full'],
  }),
  reset: endpoint({
    method: 'post',
    path: '/api/auth/password/reset',
    id: 'resetPassword',
    summary: 'Set a new password with a mailed token; ends every session',
    tag,
    access: 'public',
    body: z.strictObject({ token: mailToken, new_password: newPassword }),
    answers: { 204: { description: 'Set.' } },
    problems: ['invalid_mail_token', 'hash_queue_full', 'password_check_unavailable'],
  }),
  acceptInvitation: endpoint({
    method: 'post',
    path: '/api/auth/invitation/accept',
    id: 'acceptInvitation',
    summary: 'Set the first password of an invited account with a mailed token',
    tag,
    access: 'public',
    body: z.strictObject({ token: mailToken, password: newPassword }),
    answers: { 204: { description: 'Set, and the address is verified: sign in.' } },
    problems: ['invalid_mail_token', 'hash_queue_full', 'password_check_unavailable'],
  }),
  requestVerification: endpoint({
    method: 'post',
    path: '/api/auth/email/verification',
    id: 'requestEmailVerification',
    impersonation: false,
    summary: 'Request another mail to confirm the present address',
    tag,
    access: 'user',
    answers: accepted,
    problems: ['mail_queue_full'],
  }),
  change: endpoint({
    method: 'post',
    path: '/api/auth/email/change',
    id: 'requestEmailChange',
    impersonation: false,
    summary: 'Request a mail to a new address; the account changes when its token is confirmed',
    tag,
    access: 'user',
    body: z.strictObject({ new_email: emailAddress, current_password: offeredPassword }),
    answers: accepted,
    problems: ['too_many_attempts', 'hash_queue_full', 'mail_queue_full'],
  }),
  confirm: endpoint({
    method: 'post',
    path: '/api/auth/email/verify',
    id: 'confirmEmail',
    summary: 'Confirm the present or a new address with a mailed token and the password',
    tag,
    access: 'public',
    body: z.strictObject({ token: mailToken, current_password: offeredPassword }),
    answers: { 204: { description: 'Confirmed.' } },
    problems: ['invalid_mail_token', 'email_taken', 'too_many_attempts', 'hash_queue_full'],
  }),
});
