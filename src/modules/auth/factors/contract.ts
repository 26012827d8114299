import { z } from 'zod';
import { MFA_RULES } from '../../../kernel/config/mfa-policy';
import { displayName, objectId, opaqueToken } from '../../../platform/http/fields';
import { shownId, shownText, shownTime } from '../../../platform/http/view-schemas';
import { endpoint } from '../endpoint';
import { tokenAnswerOf, tokenPair } from '../sign-in/contract';
import type { UsersPort } from '../users-port';
import type { FactorKind } from './factor-kinds';

const tag = 'factors';

export const mfaToken = opaqueToken(
  'must be the mfa_token of a sign-in',
  'The `mfa_token` of the sign-in. It expires, and opens one session.',
);

const recoveryCodes = z
  .array(shownText(19, 'A code, for a single use.', '7k2m-9x4q-v8t1-c5ny'))
  .max(10)
  .meta({ description: 'Ten codes, only in this answer: store them where the app is not.' });

/** The codes that the client must show, if any. */
export const codesShown = {
  recovery_codes: recoveryCodes.optional(),
  recovery_codes_left: z
    .int()
    .min(0)
    .max(10)
    .optional()
    .meta({ description: 'After one was used. With three or fewer, ask for a new set.' }),
};

const factorView = z
  .object({
    id: shownText(64, 'Id of the factor.', '652f1c3e9b1d4a0012ab34cd'),
    kind: shownText(32, 'Its kind.', 'totp'),
    name: shownText(100, 'Its name.', 'Phone'),
    created_at: shownTime('When it was added.'),
    last_used_at: shownTime('Its last use; null: none yet.').nullable(),
    remaining: z
      .int()
      .min(0)
      .max(10)
      .optional()
      .meta({ description: 'Of recovery codes: how many are left.' }),
  })
  .meta({ id: 'Factor' });

const totpEnrollment = z
  .object({
    id: shownId('Id of the factor, once it is confirmed.'),
    secret: shownText(64, 'Base32, to type into an app.', 'FF3M4YUZKXVZZGHBCXY7MONW5L334MZJ'),
    otpauth_uri: shownText(2048, 'For the app.', 'otpauth://totp/Accounts:ada%40example.org?…'),
    qr_svg: shownText(200_000, 'The URI as a QR code, an SVG image.', '<svg …></svg>'),
    expires_in: z.int().min(1).max(3600).meta({ description: 'Time to confirm it, in seconds.' }),
  })
  .meta({ id: 'TotpEnrollment' });

const name = displayName.optional().meta({
  description: 'To tell it from others; default: Authenticator app.',
  examples: ['Phone'],
});
const CODE_PROBLEMS = ['too_many_attempts', 'hash_queue_full'] as const;
const PASSKEY_PROBLEMS = [
  'invalid_passkey',
  'invalid_passkey_challenge',
  'passkeys_not_configured',
] as const;
const CHANGES = ['insufficient_user_authentication'] as const;
const own = { tag, access: 'user', impersonation: false } as const;

/** `factor` chooses the kind, and so what else the body has. */
function offered<T extends z.ZodRawShape>(kinds: readonly FactorKind[], more: T) {
  const options = kinds.map(({ kind, proof }) =>
    proof.extend({ factor: z.literal(kind), ...more }),
  );
  type Option = z.ZodObject<T & { factor: z.ZodLiteral<string> }>;
  return z.discriminatedUnion('factor', options as unknown as [Option, ...Option[]]);
}

export const factorEndpoints = (kinds: readonly FactorKind[], users: Pick<UsersPort, 'view'>) => ({
  verify: endpoint({
    method: 'post',
    path: '/api/auth/mfa/verify',
    id: 'verifyFactor',
    session: 'opens',
    idempotencyKey: false,
    summary: 'Give the factor that a sign-in waits for, or confirm the one that it sets up',
    tag,
    access: 'public',
    body: offered(kinds, { mfa_token: mfaToken }),
    answers: {
      200: {
        description: 'Signed in.',
        schema: tokenAnswerOf(users).extend(codesShown).meta({ id: 'SignedIn' }),
      },
    },
    problems: ['invalid_mfa_token', ...PASSKEY_PROBLEMS, ...CODE_PROBLEMS],
  }),
  enrolAtSignIn: endpoint({
    method: 'post',
    path: '/api/auth/mfa/totp',
    id: 'enrolTotpAtSignIn',
    idempotencyKey: false,
    summary: 'Set up an authenticator app where a sign-in needs a first factor',
    tag,
    access: 'public',
    body: z.strictObject({ mfa_token: mfaToken, name }),
    answers: { 201: { description: 'Confirm it by verifyFactor.', schema: totpEnrollment } },
    problems: ['invalid_mfa_token', 'too_many_factors'],
  }),
  stepUp: endpoint({
    method: 'post',
    path: '/api/auth/mfa/step-up',
    id: 'stepUp',
    session: 'renews',
    idempotencyKey: false,
    summary: 'Give a factor in the present session, and replace its tokens',
    ...own,
    body: offered(kinds, {}),
    answers: {
      200: {
        description:
          'The session counts as of now. Earlier refresh tokens are revoked; one in a cookie that the request does not carry stays.',
        schema: tokenPair.extend(codesShown).meta({ id: 'SteppedUp' }),
      },
    },
    problems: [...PASSKEY_PROBLEMS, ...CODE_PROBLEMS],
  }),
  list: endpoint({
    method: 'get',
    path: '/api/auth/factors',
    id: 'listFactors',
    summary: 'List the own second factors',
    tag,
    access: 'user',
    answers: {
      200: {
        description: 'The factors, and whether the account needs one.',
        schema: z
          .object({
            data: z.array(factorView).max(100),
            policy: z.enum(MFA_RULES).meta({ description: 'Of the role of the account.' }),
          })
          .meta({ id: 'FactorList' }),
      },
    },
  }),
  enrolTotp: endpoint({
    method: 'post',
    path: '/api/auth/factors/totp',
    id: 'enrolTotp',
    idempotencyKey: false,
    summary: 'Begin to add an authenticator app',
    ...own,
    body: z.strictObject({ name }),
    answers: {
      201: { description: 'Confirm it by a code of the app.', schema: totpEnrollment },
    },
    problems: [...CHANGES, 'mfa_disabled', 'too_many_factors'],
  }),
  confirmTotp: endpoint({
    method: 'post',
    path: '/api/auth/factors/totp/confirm',
    id: 'confirmTotp',
    session: 'renews',
    idempotencyKey: false,
    summary: 'Add the authenticator app by a code that it shows, and replace the tokens',
    ...own,
    body: (kinds.find(({ kind }) => kind === 'totp') as FactorKind).proof,
    answers: {
      200: {
        description: 'Added. A first factor comes with recovery codes.',
        schema: tokenPair.extend(codesShown).meta({ id: 'FactorAdded' }),
      },
    },
    problems: [...CHANGES, 'mfa_disabled', ...CODE_PROBLEMS],
  }),
  replaceCodes: endpoint({
    method: 'post',
    path: '/api/auth/factors/recovery-codes',
    id: 'replaceRecoveryCodes',
    idempotencyKey: false,
    summary: 'Replace the recovery codes by a new set',
    ...own,
    answers: {
      200: {
        description: 'The new set. The earlier one no longer works.',
        schema: z.object({ recovery_codes: recoveryCodes }).meta({ id: 'RecoveryCodes' }),
      },
    },
    problems: [...CHANGES, 'no_factor'],
  }),
  remove: endpoint({
    method: 'delete',
    path: '/api/auth/factors/:id',
    id: 'removeFactor',
    summary: 'Remove a second factor',
    ...own,
    params: z.strictObject({
      id: z
        .string()
        .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be the id of a factor')
        .meta({ description: 'Id of the factor.', maxLength: 64 }),
    }),
    answers: { 204: { description: 'Removed.' } },
    problems: [...CHANGES, 'factor_not_found', 'factor_required', 'last_sign_in_method', 'busy'],
  }),
});

export const factorAdministrationEndpoints = {
  reset: endpoint({
    method: 'delete',
    path: '/api/users/:id/factors',
    id: 'resetFactorsOfUser',
    summary: 'Remove every second factor of a user who has lost them',
    tag,
    access: 'user',
    permission: 'factors:reset',
    impersonation: false,
    params: z.strictObject({ id: objectId.meta({ description: 'Id of a user.' }) }),
    answers: { 204: { description: 'Removed, now or earlier.' } },
    problems: [...CHANGES, 'exceeds_permissions', 'own_account', 'user_not_found'],
  }),
};
