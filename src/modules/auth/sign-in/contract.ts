import { z } from 'zod';
import { displayName, emailAddress, opaqueToken } from '../../../platform/http/fields';
import { characters } from '../../../platform/http/validation';
import { shownText } from '../../../platform/http/view-schemas';
import { endpoint } from '../endpoint';
import { refuseKnownPassword } from '../passwords/identity';
import type { UsersPort } from '../users-port';

const tag = 'auth';

/** A password to check, not to set: the rules for new passwords do not apply. */
export const offeredPassword = characters(1, 256).meta({
  format: 'password',
  examples: ['correct horse battery'],
});

export const accessToken = shownText(
  4096,
  'A JWT (RFC 9068).',
  'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9…',
);
export const expiresIn = z
  .int()
  .min(1)
  .max(2_147_483_647)
  .meta({ description: 'Lifetime of the access token, in seconds.', examples: [900] });

/** RFC 6749 §5.1 names. */
const pair = {
  access_token: accessToken,
  token_type: z.literal('Bearer'),
  expires_in: expiresIn,
  refresh_token: shownText(
    512,
    'Opaque, for a single use. Absent where the session keeps it in a cookie.',
    'kq8Z3x…',
  ).optional(),
};

export const tokenPair = z.object(pair).meta({ id: 'TokenPair' });

/** The answer to a sign-in that needs a further factor. */
const mfaRequired = z
  .object({
    mfa_required: z.literal(true),
    mfa_token: shownText(
      64,
      'For `POST /api/auth/mfa/verify`, from the same client. It opens one session.',
      'q2Vb4nK8sT1xY6wR3mP9zA5cD7fG0hJ2lN4oQ6uE8iS',
    ),
    expires_in: z
      .int()
      .min(1)
      .max(3600)
      .meta({ description: 'Lifetime of `mfa_token`, in seconds.', examples: [300] }),
    factors: z
      .array(shownText(32, 'A kind of factor.', 'totp'))
      .max(16)
      .meta({ description: 'The kinds of factor that the account can go on with.' }),
    enrollable: z
      .array(shownText(32, 'A kind of factor.', 'totp'))
      .max(16)
      .optional()
      .meta({
        description: 'The account has none and needs one: the kinds that it can set up now.',
      }),
  })
  .meta({ id: 'MfaRequired' });

const passwordChangeToken = opaqueToken(
  'must be the token of password_change_required',
  'The `password_change_token` of the login. It expires and works once.',
);

const refreshToken = characters(1, 512).meta({
  description: 'The refresh token of the last answer. Absent: the one of the cookie.',
  examples: ['kq8Z3x…'],
});

export const tokenAnswerOf = ({ view }: Pick<UsersPort, 'view'>) =>
  z.object({ user: view, ...pair }).meta({ id: 'Tokens' });

/** The body of every sign-in. */
export const signInAnswerOf = (users: Pick<UsersPort, 'view'>) =>
  z.union([tokenAnswerOf(users), mfaRequired]).meta({ id: 'SignIn' });

export const authEndpoints = (
  newPassword: z.ZodType<string>,
  { view: userView, userMetadata }: Pick<UsersPort, 'view' | 'userMetadata'>,
) => {
  const signInAnswer = signInAnswerOf({ view: userView });
  return {
    register: endpoint({
      method: 'post',
      path: '/api/auth/register',
      id: 'register',
      session: 'opens',
      summary: 'Create an account and sign in',
      tag,
      access: 'public',
      body: z
        .strictObject({
          name: displayName,
          email: emailAddress,
          password: newPassword,
          user_metadata: userMetadata.optional(),
        })
        .superRefine(refuseKnownPassword),
      answers: {
        200: {
          description: 'Registered. A factor must be set up before the first session.',
          schema: mfaRequired,
          headers: { Location: 'Path of the new user.' },
        },
        201: {
          description: 'Registered and signed in.',
          schema: tokenAnswerOf({ view: userView }),
          headers: { Location: 'Path of the new user.' },
        },
      },
      problems: ['email_taken', 'hash_queue_full', 'password_check_unavailable'],
    }),
    login: endpoint({
      method: 'post',
      path: '/api/auth/login',
      id: 'login',
      session: 'opens',
      idempotencyKey: false,
      summary: 'Sign in with e-mail and password',
      tag,
      access: 'public',
      body: z.strictObject({ email: emailAddress, password: offeredPassword }),
      answers: {
        200: { description: 'Signed in, or a further factor is needed.', schema: signInAnswer },
      },
      problems: [
        'invalid_credentials',
        'password_change_required',
        'too_many_attempts',
        'hash_queue_full',
      ],
    }),
    replaceRequiredPassword: endpoint({
      method: 'post',
      path: '/api/auth/password/required',
      id: 'replaceRequiredPassword',
      session: 'opens',
      idempotencyKey: false,
      summary: 'Replace a password that a login has refused to use any longer, and sign in',
      tag,
      access: 'public',
      body: z.strictObject({ token: passwordChangeToken, new_password: newPassword }),
      answers: {
        200: {
          description: 'Replaced, and signed in or in need of a further factor.',
          schema: signInAnswer,
        },
      },
      problems: ['invalid_password_change_token', 'hash_queue_full', 'password_check_unavailable'],
    }),
    refresh: endpoint({
      method: 'post',
      path: '/api/auth/refresh',
      id: 'refresh',
      session: 'refreshes',
      idempotencyKey: false,
      summary:
        'Get a new pair of tokens for a refresh token; a repeat within the grace window gets the same pair',
      tag,
      access: 'public',
      body: z.strictObject({ refresh_token: refreshToken.optional() }),
      // Only with the cookie is it without members.
      bodyIsRequired: true,
      answers: { 200: { description: 'The new pair.', schema: tokenPair } },
      problems: ['invalid_refresh_token', 'refresh_token_reused', 'too_many_refreshes'],
    }),
    profile: endpoint({
      method: 'get',
      path: '/api/auth/profile',
      id: 'profile',
      summary: 'Get the signed-in user',
      tag,
      local: true,
      access: 'user',
      answers: {
        200: {
          description: 'The signed-in user.',
          schema: userView,
          headers: { ETag: 'Strong entity tag.' },
        },
        304: {
          description: 'Not modified since If-None-Match.',
          headers: { ETag: 'Strong entity tag.' },
        },
      },
    }),
    changePassword: endpoint({
      method: 'patch',
      path: '/api/auth/password',
      id: 'changePassword',
      session: 'renews',
      impersonation: false,
      summary: 'Change the password, end every other session and replace the tokens of this one',
      tag,
      access: 'user',
      body: z.strictObject({ current_password: offeredPassword, new_password: newPassword }),
      answers: {
        200: {
          description: 'Changed. Earlier refresh tokens are revoked: use this pair from now on.',
          schema: tokenPair,
        },
      },
      problems: ['too_many_attempts', 'hash_queue_full', 'password_check_unavailable'],
    }),
  };
};
