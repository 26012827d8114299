import { type Meaning, SERVER_CODES } from './server-codes';

export { FIELD_CODES, type FieldCode, fieldCodes } from './field-codes';

/**
 * Every `code` of a problem, with its status. The types, the OpenAPI document and the tables of the
 * documentation (`npm run problems`) come from here. Codes are part of the contract: they and their
 * meanings do not change.
 */
export const PROBLEM_CODES = {
  malformed_request: { status: 400, meaning: 'The request is malformed.' },
  host_required: { status: 400, meaning: 'The request has no `Host` header.' },
  malformed_path: { status: 400, meaning: 'The path has an invalid percent-encoding.' },
  invalid_path_parameter: {
    status: 400,
    meaning: 'A path parameter is not valid; `errors` names it.',
  },
  invalid_query: {
    status: 400,
    meaning: 'A query parameter is unknown or not valid; `errors` names it.',
  },
  invalid_cursor: {
    status: 400,
    meaning: 'The cursor is not one of a page with this order and these filters.',
  },
  sort_not_supported: {
    status: 400,
    meaning: 'No index has this order for these filters; `supported` lists what has one.',
  },
  filters_not_supported: {
    status: 400,
    meaning: 'No index serves these filters together; `supported` lists those that one serves.',
  },
  body_required: { status: 400, meaning: 'The request has no body.' },
  unexpected_body: {
    status: 400,
    meaning: 'The operation accepts no body, and the request has one.',
  },
  malformed_json: { status: 400, meaning: 'The body is not valid JSON in UTF-8.' },
  json_too_deep: { status: 400, meaning: 'The body is nested too deeply.' },
  invalid_if_match: { status: 400, meaning: '`If-Match` is not a list of entity tags.' },
  invalid_if_none_match: { status: 400, meaning: '`If-None-Match` is not a list of entity tags.' },
  invalid_last_event_id: {
    status: 400,
    meaning: '`Last-Event-ID` is not the id of an event.',
  },
  invalid_idempotency_key: {
    status: 400,
    meaning: '`Idempotency-Key` is malformed.',
  },
  invalid_mail_token: {
    status: 400,
    meaning: 'The mailed token is wrong, expired or already used.',
  },
  invalid_password_change_token: {
    status: 400,
    meaning: 'The token of `password_change_required` is wrong, expired or already used.',
  },
  invalid_refresh_token_mode: {
    status: 400,
    meaning: '`Refresh-Token-Mode` is not `cookie`.',
  },
  invalid_dpop_proof: {
    status: 400,
    meaning: 'The `DPoP` proof is missing or not valid (RFC 9449); `detail` has the reason.',
  },
  invalid_mfa_token: {
    status: 400,
    meaning:
      'The `mfa_token` is wrong, expired, used or of another client, or the account has changed since: sign in again.',
  },
  invalid_sign_in_code: {
    status: 400,
    meaning: 'The mailed sign-in code is wrong, expired or already used, or no try is left.',
  },
  invalid_sign_in_attempt: {
    status: 400,
    meaning:
      'The sign-in with a provider was not begun in this browser, has expired or was used before.',
  },
  invalid_provider_code: {
    status: 400,
    meaning: 'The code of a sign-in with a provider, or its verifier, is wrong, expired or used.',
  },
  invalid_passkey_challenge: { status: 400, meaning: 'The challenge is wrong, expired or used.' },
  passkey_not_accepted: { status: 400, meaning: 'The new passkey is not valid.' },
  missing_token: { status: 401, meaning: 'The request has no access token.' },
  invalid_token: { status: 401, meaning: 'The access token is malformed or revoked.' },
  token_expired: { status: 401, meaning: 'The access token has expired: refresh it.' },
  invalid_credentials: { status: 401, meaning: 'The e-mail address or the password is wrong.' },
  invalid_passkey: { status: 401, meaning: 'The passkey is unknown or its answer is not valid.' },
  invalid_refresh_token: {
    status: 401,
    meaning: 'The refresh token is invalid, or its session has ended.',
  },
  refresh_token_reused: {
    status: 401,
    meaning: 'The refresh token was used before. Its session has been ended.',
  },
  insufficient_user_authentication: {
    status: 401,
    meaning: 'The operation needs a recent login (RFC 9470): sign in again.',
  },
  forbidden: {
    status: 403,
    meaning: 'The role of the user lacks the required permission, which `detail` names.',
  },
  insufficient_scope: {
    status: 403,
    meaning: 'The service account lacks the required scope, or the operation is for users only.',
  },
  administrators_only: {
    status: 403,
    meaning: 'A service account may not create or change administrators.',
  },
  role_change_forbidden: {
    status: 403,
    meaning: 'A role is given only with `roles:assign` and every permission of that role.',
  },
  exceeds_permissions: {
    status: 403,
    meaning: 'The account, or what it would get, has permissions that the caller lacks.',
  },
  email_sign_in_disabled: {
    status: 403,
    meaning: 'This service does not sign in by mailed codes.',
  },
  impersonation_forbidden: {
    status: 403,
    meaning: 'Only the user may do this, not an administrator who acts as the user.',
  },
  origin_not_allowed: {
    status: 403,
    meaning: 'The page is not of an origin that may keep its refresh token in a cookie.',
  },
  email_change_needs_proof: {
    status: 403,
    meaning: 'The own e-mail address changes by `POST /api/auth/email/change` only.',
  },
  member_write_forbidden: {
    status: 403,
    meaning: 'The caller may not write a member of the body; `detail` names it.',
  },
  password_change_required: {
    status: 403,
    meaning:
      'The sign-in is right, but the password must be replaced first: send `password_change_token` to `POST /api/auth/password/required`.',
  },
  mfa_disabled: {
    status: 403,
    meaning: 'Second factors are switched off for this account (`MFA_POLICY`).',
  },
  oidc_refused: {
    status: 403,
    meaning: 'The provider, or the user there, refused the sign-in.',
  },
  provider_email_unverified: {
    status: 403,
    meaning: 'The provider names no e-mail address that it has verified.',
  },
  account_creation_disabled: {
    status: 403,
    meaning: 'No account is linked to the identity, and sign-ins with providers create none.',
  },
  email_not_verified: {
    status: 403,
    meaning: 'The operation needs an account whose e-mail address is verified.',
  },
  not_found: { status: 404, meaning: 'There is no such resource.' },
  route_not_found: { status: 404, meaning: 'There is no such path.' },
  user_not_found: { status: 404, meaning: 'There is no such user.' },
  job_not_found: { status: 404, meaning: 'There is no such job, or it is no longer kept.' },
  factor_not_found: { status: 404, meaning: 'The account has no such factor.' },
  webhook_not_found: { status: 404, meaning: 'There is no such webhook.' },
  service_account_not_found: { status: 404, meaning: 'There is no such service account.' },
  oidc_provider_not_found: { status: 404, meaning: 'There is no such provider.' },
  identity_not_found: { status: 404, meaning: 'There is no such linked identity.' },
  passkey_not_found: { status: 404, meaning: 'The account has no such passkey.' },
  method_not_allowed: {
    status: 405,
    meaning: 'The path does not support this method; `Allow` lists the supported ones.',
  },
  not_acceptable: { status: 406, meaning: 'The client does not accept application/json.' },
  request_timeout: { status: 408, meaning: 'The request did not arrive in time.' },
  email_taken: { status: 409, meaning: 'Another account has this e-mail address.' },
  external_id_taken: { status: 409, meaning: 'Another account has this `external_id`.' },
  password_exists: { status: 409, meaning: 'The account has a password: it needs no invitation.' },
  no_password: { status: 409, meaning: 'The account has no password: send an invitation.' },
  too_many_factors: { status: 409, meaning: 'The account has as many factors as it may.' },
  factor_required: {
    status: 409,
    meaning: 'The account needs a second factor, and this is its last: add another one first.',
  },
  no_factor: { status: 409, meaning: 'The account has no second factor.' },
  account_exists: {
    status: 409,
    meaning: 'An account has the e-mail address of the identity: sign in to it and link it there.',
  },
  identity_taken: { status: 409, meaning: 'The identity is linked to another account.' },
  too_many_identities: {
    status: 409,
    meaning: 'The account has the maximum number of linked identities.',
  },
  last_sign_in_method: {
    status: 409,
    meaning: 'It is the last sign-in method of the account.',
  },
  account_banned: { status: 409, meaning: 'The account is banned.' },
  mail_not_configured: { status: 409, meaning: 'This service sends no mails.' },
  last_admin: {
    status: 409,
    meaning: 'The last administrator cannot be removed or lose the role.',
  },
  own_account: {
    status: 409,
    meaning: 'The operation is for other accounts, not for the account of the caller.',
  },
  too_many_service_accounts: {
    status: 409,
    meaning: 'The maximum number of service accounts exists.',
  },
  too_many_webhooks: { status: 409, meaning: 'The maximum number of webhooks exists.' },
  passkeys_not_configured: { status: 409, meaning: 'This service has no passkeys.' },
  passkey_exists: { status: 409, meaning: 'The passkey is registered already.' },
  too_many_passkeys: { status: 409, meaning: 'The account has the maximum number of passkeys.' },
  request_in_flight: {
    status: 409,
    meaning: 'The first request with this `Idempotency-Key` is still in progress.',
  },
  answer_no_longer_kept: {
    status: 409,
    meaning:
      'The first answer to this `Idempotency-Key` contained a secret and is no longer stored.',
  },
  events_expired: {
    status: 410,
    meaning: 'The events after this sequence are no longer kept.',
  },
  position_gone: {
    status: 410,
    meaning:
      'The log no longer has the events after the position in `after`: read it from the beginning.',
  },
  precondition_failed: {
    status: 412,
    meaning: 'The resource has changed since the version named in `If-Match`.',
  },
  body_too_large: { status: 413, meaning: 'The body is larger than this service accepts.' },
  unsupported_media_type: {
    status: 415,
    meaning: 'The operation does not accept this media type.',
  },
  unsupported_encoding: {
    status: 415,
    meaning: 'The content encoding of the body is not supported.',
  },
  unknown_expectation: {
    status: 417,
    meaning: 'The only supported expectation is 100-continue.',
  },
  validation_failed: {
    status: 422,
    meaning: 'Fields of the body are invalid; `errors` lists them.',
  },
  idempotency_key_reused: {
    status: 422,
    meaning: 'This `Idempotency-Key` was used for another request.',
  },
  ...SERVER_CODES,
} as const satisfies Readonly<Record<string, Meaning>>;

export type ProblemCode = keyof typeof PROBLEM_CODES;
/** The codes of a status. */
export type CodeOf<S extends number> = {
  [C in ProblemCode]: (typeof PROBLEM_CODES)[C]['status'] extends S ? C : never;
}[ProblemCode];

export const problemCodes = Object.keys(PROBLEM_CODES) as readonly ProblemCode[];
