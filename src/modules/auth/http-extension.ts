import type { Extension, Extensions } from '../../platform/http/extension';
import { headerText } from '../../platform/http/response-headers';
import { authFieldsOf, type SessionEffect } from './endpoint';

const STORES = { 'Set-Cookie': 'The refresh token, where the session keeps it in a cookie.' };
const REMOVES = { 'Set-Cookie': 'Removes the cookie of the refresh token.' };
/** An invalid token in the cookie removes the cookie. */
const UNAUTHORIZED = {
  label: 'Cookie',
  headers: { 'Set-Cookie': 'Removes the cookie of a refresh token that is not valid.' },
};

const EFFECTS: Readonly<Record<SessionEffect, Extension>> = {
  opens: {
    requestHeaders: ['DPoP', 'Refresh-Token-Mode'],
    problems: ['Opens', ['invalid_refresh_token_mode', 'invalid_dpop_proof', 'origin_not_allowed']],
    answerHeaders: STORES,
  },
  refreshes: {
    requestHeaders: ['DPoP'],
    problems: ['Refreshes', ['invalid_dpop_proof', 'origin_not_allowed']],
    answerHeaders: STORES,
    unauthorized: UNAUTHORIZED,
  },
  renews: { answerHeaders: STORES },
  ends: {
    requestHeaders: ['DPoP'],
    problems: [
      'Ends',
      ['invalid_refresh_token', 'refresh_token_reused', 'invalid_dpop_proof', 'origin_not_allowed'],
    ],
    answerHeaders: REMOVES,
    unauthorized: UNAUTHORIZED,
    security: ['refreshCookie'],
  },
};

/** These headers have no maximum length. Linters demand a number. */
const ANY_LENGTH = 2_147_483_647;

/** How sessions and proofs show in HTTP: in the OpenAPI document, to CORS and in traces. */
export const authExtension: Omit<Extensions, 'tags'> = {
  extensionOf(endpoint) {
    const { session, dpop } = authFieldsOf(endpoint);
    if (session !== undefined) return EFFECTS[session];
    return dpop === true ? { requestHeaders: ['DPoP'] } : {};
  },
  // The id of a session is that of its tokens.
  hasSecretPath: (pattern) => pattern.includes('/sessions/'),
  requestHeaders: {
    DPoP: {
      description:
        'A DPoP proof (RFC 9449). Where a session opens, it binds the refresh tokens to its key; a refresh of such a session needs a new proof by the same key. Access tokens are bearer tokens in any case.',
      schema: headerText(ANY_LENGTH, 'eyJ0eXAiOiJkcG9wK2p3dCJ9.eyJqdGkiOiIxIn0.c2ln'),
    },
    'Refresh-Token-Mode': {
      description:
        'For pages in BROWSER_ORIGINS: the refresh token comes in the cookie `__Host-refresh_token` instead of the JSON.',
      schema: { type: 'string', enum: ['cookie'] },
    },
  },
  securitySchemes: {
    refreshCookie: {
      type: 'apiKey',
      in: 'cookie',
      name: '__Host-refresh_token',
      description:
        'The cookie of a page in BROWSER_ORIGINS. The request must have the `Origin` of such a page.',
    },
  },
};
