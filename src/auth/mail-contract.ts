import { z } from 'zod';
import { endpoint } from '../http/endpoint';
import { emailSchema } from '../users/schemas';
import { offeredPassword } from './contract';

const tag = 'mail';
const mailToken = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/, 'must be the token of a mail')
  .meta({ description: 'The token that was mailed: single-use, expiring.' });
const accepted = { 202: { description: 'A mail is on its way, if there is anyone to send it to.' } };

export const mailEndpoints = (newPassword: z.ZodType<string>) => ({
  forgot: endpoint({
    method: 'post',
    path: '/api/auth/password/forgot',
    id: 'forgotPassword',
    summary: 'Ask for a mail to set a new password; the answer never tells whether there is such an account',
    tag,
    access: 'public',
    body: z.strictObject({ email: emailSchema }),
    answers: accepted,
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
  }),
  requestVerification: endpoint({
    method: 'post',
    path: '/api/auth/email/verification',
    id: 'requestEmailVerification',
    summary: 'Ask for another mail to confirm the present address',
    tag,
    access: 'user',
    answers: accepted,
  }),
  change: endpoint({
    method: 'post',
    path: '/api/auth/email/change',
    id: 'requestEmailChange',
    summary: 'Ask for a mail to a new address; it is taken over when the token comes back',
    tag,
    access: 'user',
    body: z.strictObject({ new_email: emailSchema, current_password: offeredPassword }),
    answers: accepted,
  }),
  confirm: endpoint({
    method: 'post',
    path: '/api/auth/email/verify',
    id: 'confirmEmail',
    summary: 'Confirm an address, the present or a new one, with a mailed token',
    tag,
    access: 'public',
    body: z.strictObject({ token: mailToken }),
    answers: { 204: { description: 'Confirmed.' } },
    problems: [409],
  }),
});
