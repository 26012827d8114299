import { z } from 'zod';
import { objectId, opaqueToken } from '../../../platform/http/fields';
import { characters } from '../../../platform/http/validation';
import { shownId, shownText, shownTime } from '../../../platform/http/view-schemas';
import { endpoint } from '../endpoint';

const tag = 'providers';

const providerId = z
  .string()
  .regex(/^[a-z0-9-]{1,32}$/, 'must be the id of a provider')
  .meta({ description: 'Id of a provider.', maxLength: 32, examples: ['example'] });
const params = z.strictObject({ provider: providerId });

const token = (description: string) =>
  opaqueToken('must be 43 characters of base64url', description);
const codeChallenge = token(
  'SHA-256 of the `code_verifier` of the page, in base64url (RFC 7636, S256).',
);
const redirectTo = characters(1, 2048).meta({
  description: 'The page to return to: one of OIDC_REDIRECT_URLS, exactly as it is there.',
  examples: ['https://app.example.org/signed-in'],
});
/** As RFC 7636 §4.1. */
const codeVerifier = z
  .string()
  .regex(/^[A-Za-z0-9._~-]{43,128}$/, 'must be 43 to 128 unreserved characters')
  .meta({
    description: 'The verifier of the `code_challenge` with which the page has begun.',
    maxLength: 128,
    examples: ['dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'],
  });
const redeemed = z.strictObject({
  code: token('The `code` with which the browser came back. It expires and works once.'),
  code_verifier: codeVerifier,
});

/** Google, Keycloak and others add members of their own. */
const callbackQuery = z.looseObject({
  code: characters(1, 4096).optional().meta({ description: 'The code of the provider.' }),
  state: characters(1, 512).optional().meta({ description: 'As it was sent to the provider.' }),
  iss: characters(1, 2048).optional().meta({ description: 'The issuer (RFC 9207).' }),
  error: characters(1, 256).optional().meta({ description: 'Why the provider refused.' }),
  error_description: characters(0, 2048).optional().meta({ description: 'The same, for people.' }),
});

const provider = z.object({
  id: shownText(32, 'In the path of `start`.', 'example'),
  name: shownText(64, 'To show to users.', 'Example'),
});

const identity = z
  .object({
    id: shownId('Id of the linked identity.'),
    provider: shownText(32, 'Id of the provider.', 'example'),
    email: shownText(
      254,
      'The address at the provider; null: not known.',
      'ada@example.org',
    ).nullable(),
    created_at: shownTime('When it was linked.'),
    last_used_at: shownTime('The last sign-in by it; null: none.').nullable(),
  })
  .meta({ id: 'LinkedIdentity' });

const identityList = z
  .object({ data: z.array(identity).max(100) })
  .meta({ id: 'LinkedIdentityList' });

const redirect = {
  303: {
    description: 'To the provider, or back to the page with `code` or `error` in the query.',
    headers: {
      Location: 'Where the browser goes.',
      'Set-Cookie': 'Binds the sign-in to this browser.',
    },
  },
} as const;

export const federationEndpoints = (signInAnswer: z.ZodType) => ({
  list: endpoint({
    method: 'get',
    path: '/api/auth/oidc',
    id: 'listProviders',
    summary: 'List the providers to sign in with',
    tag,
    access: 'public',
    answers: {
      200: {
        description: 'The providers.',
        schema: z.object({ data: z.array(provider).max(100) }).meta({ id: 'ProviderList' }),
      },
    },
  }),
  start: endpoint({
    method: 'get',
    path: '/api/auth/oidc/:provider/start',
    id: 'startProviderSignIn',
    summary: 'Go to a provider: for a navigation of the browser, not for a script',
    tag,
    access: 'public',
    params,
    query: z
      .strictObject({
        redirect_to: redirectTo.optional(),
        code_challenge: codeChallenge.optional(),
        ticket: token('Instead of both: of the `url` that begins a link.').optional(),
      })
      .superRefine(({ redirect_to: to, code_challenge: challenge, ticket }, context) => {
        const missing = (path: string) =>
          context.addIssue({
            code: 'custom',
            path: [path],
            message: 'is required',
            params: { code: 'required' },
          });
        if (ticket === undefined && to === undefined) missing('redirect_to');
        if (ticket === undefined && challenge === undefined) missing('code_challenge');
      }),
    answers: redirect,
    problems: ['oidc_provider_not_found', 'invalid_sign_in_attempt'],
  }),
  callback: endpoint({
    method: 'get',
    path: '/api/auth/oidc/:provider/callback',
    id: 'finishProviderSignIn',
    summary: 'Back from a provider: the redirect URI that is registered there',
    tag,
    access: 'public',
    params,
    query: callbackQuery,
    answers: redirect,
    problems: ['oidc_provider_not_found', 'invalid_sign_in_attempt'],
  }),
  redeem: endpoint({
    method: 'post',
    path: '/api/auth/oidc/token',
    id: 'redeemProviderSignIn',
    session: 'opens',
    idempotencyKey: false,
    summary: 'Sign in by the code with which the browser came back from a provider',
    tag,
    access: 'public',
    body: redeemed,
    answers: {
      200: { description: 'Signed in, or a further factor is needed.', schema: signInAnswer },
    },
    problems: [
      'invalid_provider_code',
      'account_creation_disabled',
      'provider_email_unverified',
      'password_change_required',
      'account_exists',
      'account_banned',
    ],
  }),
  identities: endpoint({
    method: 'get',
    path: '/api/auth/identities',
    id: 'listLinkedIdentities',
    summary: 'List the identities at providers that sign in to the own account',
    tag,
    access: 'user',
    answers: { 200: { description: 'The identities.', schema: identityList } },
  }),
  begin: endpoint({
    method: 'post',
    path: '/api/auth/identities/:provider/link',
    id: 'beginIdentityLink',
    idempotencyKey: false,
    impersonation: false,
    summary: 'Begin to link an identity at a provider to the own account',
    tag,
    access: 'user',
    params,
    body: z.strictObject({ redirect_to: redirectTo, code_challenge: codeChallenge }),
    answers: {
      200: {
        description: 'Where the browser must go. The URL works once.',
        schema: z
          .object({
            url: shownText(2048, 'For a navigation.', 'https://api.example.org/api/auth/oidc/…'),
            expires_in: z
              .int()
              .min(1)
              .max(3600)
              .meta({ description: 'In seconds.', examples: [60] }),
          })
          .meta({ id: 'IdentityLinkStart' }),
      },
    },
    problems: ['insufficient_user_authentication', 'email_not_verified', 'oidc_provider_not_found'],
  }),
  link: endpoint({
    method: 'post',
    path: '/api/auth/identities',
    id: 'linkIdentity',
    idempotencyKey: false,
    impersonation: false,
    summary: 'Link the identity of the code with which the browser came back',
    tag,
    access: 'user',
    body: redeemed,
    answers: { 201: { description: 'Linked, now or earlier.', schema: identity } },
    problems: [
      'insufficient_user_authentication',
      'invalid_provider_code',
      'email_not_verified',
      'identity_taken',
      'too_many_identities',
    ],
  }),
  unlink: endpoint({
    method: 'delete',
    path: '/api/auth/identities/:id',
    id: 'unlinkIdentity',
    impersonation: false,
    summary: 'Unlink an identity, and end every other session',
    tag,
    access: 'user',
    params: z.strictObject({ id: objectId }),
    answers: { 204: { description: 'Unlinked. It signs in to the account no longer.' } },
    problems: [
      'insufficient_user_authentication',
      'identity_not_found',
      'last_sign_in_method',
      'busy',
    ],
  }),
});
