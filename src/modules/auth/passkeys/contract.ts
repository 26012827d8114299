import { z } from 'zod';
import { displayName } from '../../../platform/http/fields';
import { shownId, shownText, shownTime } from '../../../platform/http/view-schemas';
import { endpoint } from '../endpoint';
import { codesShown, mfaToken } from '../factors/contract';
import { signInAnswerOf, tokenPair } from '../sign-in/contract';
import type { UsersPort } from '../users-port';
import type { PasskeyHolder } from './passkey-store';
import {
  assertionJson,
  creationOptions,
  registrationJson,
  requestOptions,
} from './webauthn-schemas';

const tag = 'passkeys';

const passkeyView = z
  .object({
    id: shownId('Id of the passkey.'),
    name: shownText(100, 'Name as shown.', 'Ada’s laptop'),
    credential_id: shownText(1364, 'Id that the authenticator gave it, in base64url.', 'q2Vb4nK8'),
    transports: z
      .array(shownText(32, 'How the browser reaches it.', 'internal'))
      .max(10)
      .meta({ description: 'As reported by the browser at registration.' }),
    discoverable: z
      .boolean()
      .nullable()
      .meta({
        description: 'Whether it can sign in alone; null: the browser did not tell.',
        examples: [true],
      }),
    backup_eligible: z
      .boolean()
      .meta({ description: 'Whether it can be synchronized to other devices.' }),
    backed_up: z.boolean().meta({ description: 'Whether it was synchronized at its last use.' }),
    aaguid: shownText(
      36,
      'Model of the authenticator, as it claims.',
      'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4',
    ),
    created_at: shownTime('When it was registered.'),
    last_used_at: shownTime('When it was last used.').nullable(),
  })
  .meta({ id: 'Passkey' });
export type PasskeyView = z.output<typeof passkeyView>;

const passkeyList = z
  .object({
    data: z.array(passkeyView).max(100),
    rp_id: shownText(253, 'The RP ID.', 'example.org').nullable(),
    user_handle: shownText(86, 'The user handle; null: no passkey yet.', 'q2Vb4nK8').nullable(),
  })
  .meta({ id: 'PasskeyList' });

const optionsAnswer = <T extends z.ZodType>(options: T, description: string) => ({
  200: { description, schema: z.object({ public_key: options }) },
});

const params = z.strictObject({ id: shownId('Id of a passkey.') });
const own = { tag, access: 'user' } as const;
/** An administrator who acts as the user must not add, rename or remove passkeys. */
const guarded = { ...own, impersonation: false } as const;
const fresh = 'insufficient_user_authentication';

export const passkeyEndpoints = ({ view }: Pick<UsersPort, 'view'>) => ({
  list: endpoint({
    method: 'get',
    path: '/api/auth/passkeys',
    id: 'listPasskeys',
    summary: 'List the own passkeys, the oldest first',
    ...own,
    answers: { 200: { description: 'The passkeys.', schema: passkeyList } },
  }),
  beginRegistration: endpoint({
    method: 'post',
    path: '/api/auth/passkeys/registration/options',
    id: 'beginPasskeyRegistration',
    idempotencyKey: false,
    summary: 'Get the options with which a browser creates a passkey; needs a recent login',
    ...guarded,
    answers: optionsAnswer(creationOptions, 'For navigator.credentials.create.'),
    problems: [fresh, 'passkeys_not_configured', 'too_many_passkeys'],
  }),
  finishRegistration: endpoint({
    method: 'post',
    path: '/api/auth/passkeys/registration',
    id: 'finishPasskeyRegistration',
    idempotencyKey: false,
    summary: 'Register the passkey that the browser has created; needs a recent login',
    ...guarded,
    session: 'renews',
    body: z.strictObject({ name: displayName.optional(), credential: registrationJson }),
    answers: {
      201: {
        description:
          'Registered; without a name, named after the browser. Use these tokens from now on. A first factor comes with recovery codes.',
        schema: tokenPair
          .extend({ passkey: passkeyView, recovery_codes: codesShown.recovery_codes })
          .meta({ id: 'PasskeyAdded' }),
        headers: { Location: 'Path of the passkey.' },
      },
    },
    problems: [
      fresh,
      'invalid_passkey_challenge',
      'passkey_not_accepted',
      'passkey_exists',
      'passkeys_not_configured',
      'too_many_passkeys',
    ],
  }),
  rename: endpoint({
    method: 'patch',
    path: '/api/auth/passkeys/:id',
    id: 'renamePasskey',
    summary: 'Rename one of the own passkeys',
    ...guarded,
    params,
    body: z.strictObject({ name: displayName }),
    answers: { 200: { description: 'Renamed.', schema: passkeyView } },
    problems: ['passkey_not_found'],
  }),
  remove: endpoint({
    method: 'delete',
    path: '/api/auth/passkeys/:id',
    id: 'removePasskey',
    summary: 'Remove one of the own passkeys; needs a recent login',
    ...guarded,
    params,
    answers: { 204: { description: 'Removed: it opens no session any longer.' } },
    problems: [fresh, 'passkey_not_found', 'last_sign_in_method', 'factor_required', 'busy'],
  }),
  beginSecondFactor: endpoint({
    method: 'post',
    path: '/api/auth/passkeys/second-factor/options',
    id: 'beginPasskeySecondFactor',
    idempotencyKey: false,
    summary: 'Get the options with which a browser asks for a passkey that a sign-in waits for',
    tag,
    access: 'public',
    body: z.strictObject({ mfa_token: mfaToken }),
    answers: optionsAnswer(requestOptions, 'Send the result to verifyFactor.'),
    problems: ['invalid_mfa_token', 'passkeys_not_configured'],
  }),
  beginStepUp: endpoint({
    method: 'post',
    path: '/api/auth/passkeys/step-up/options',
    id: 'beginPasskeyStepUp',
    idempotencyKey: false,
    summary: 'Get the options with which a browser asks the present user for a passkey',
    ...guarded,
    answers: optionsAnswer(requestOptions, 'Send the result to stepUp.'),
    problems: ['passkeys_not_configured'],
  }),
  beginSignIn: endpoint({
    method: 'post',
    path: '/api/auth/passkeys/sign-in/options',
    id: 'beginPasskeySignIn',
    idempotencyKey: false,
    summary: 'Get the options with which a browser asks for a passkey; the same for everyone',
    tag,
    access: 'public',
    answers: optionsAnswer(requestOptions, 'For navigator.credentials.get.'),
    problems: ['passkeys_not_configured'],
  }),
  finishSignIn: endpoint({
    method: 'post',
    path: '/api/auth/passkeys/sign-in',
    id: 'finishPasskeySignIn',
    session: 'opens',
    idempotencyKey: false,
    summary: 'Sign in with a passkey alone; it must have verified its user',
    tag,
    access: 'public',
    body: z.strictObject({ credential: assertionJson }),
    answers: {
      200: {
        description: 'Signed in, or a further factor is needed.',
        schema: signInAnswerOf({ view }),
      },
    },
    problems: [
      'invalid_passkey',
      'invalid_passkey_challenge',
      'passkeys_not_configured',
      'password_change_required',
    ],
  }),
});

export const passkeyViewOf = (one: PasskeyHolder['passkeys'][number]): PasskeyView => ({
  id: one.id,
  name: one.name,
  credential_id: one.credentialId,
  transports: [...one.transports],
  discoverable: one.isDiscoverable ?? null,
  backup_eligible: one.isBackupEligible,
  backed_up: one.isBackedUp,
  aaguid: one.aaguid,
  created_at: one.createdAt.toISOString(),
  last_used_at: one.lastUsedAt?.toISOString() ?? null,
});
