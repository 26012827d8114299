import { z } from 'zod';
import { emailAddress, opaqueToken } from '../../../platform/http/fields';
import { endpoint } from '../endpoint';

const tag = 'auth';

const signInToken = opaqueToken(
  'must be the sign_in_token of the request',
  'For the device that asked, to be kept there. It expires and works once.',
);
const code = z
  .string()
  .regex(/^\d{6}$/, 'must be the six digits of the mail')
  .meta({ description: 'The mailed code.', maxLength: 6, examples: ['042917'] });

export const emailSignInEndpoints = (signInAnswer: z.ZodType) => ({
  request: endpoint({
    method: 'post',
    path: '/api/auth/email-sign-in',
    id: 'requestEmailSignIn',
    idempotencyKey: false,
    summary:
      'Request a mail with a code to sign in; the answer does not reveal whether the account exists',
    tag,
    access: 'public',
    body: z.strictObject({ email: emailAddress }),
    answers: {
      202: {
        description: 'Accepted. A mail is sent if there is an account with this verified address.',
        schema: z
          .object({
            sign_in_token: signInToken,
            expires_in: z
              .int()
              .min(1)
              .max(3600)
              .meta({ description: 'How long the code is valid, in seconds.', examples: [600] }),
          })
          .meta({ id: 'EmailSignIn' }),
      },
    },
    problems: ['email_sign_in_disabled', 'mail_queue_full'],
  }),
  verify: endpoint({
    method: 'post',
    path: '/api/auth/email-sign-in/verify',
    id: 'verifyEmailSignIn',
    session: 'opens',
    idempotencyKey: false,
    summary: 'Sign in with the mailed code, from the device that asked for it',
    tag,
    access: 'public',
    body: z.strictObject({ sign_in_token: signInToken, code }),
    answers: { 200: { description: 'Signed in, or a factor is needed.', schema: signInAnswer } },
    problems: [
      ...(['email_sign_in_disabled', 'invalid_sign_in_code', 'password_change_required'] as const),
      'too_many_attempts',
    ],
  }),
});
