import type { ImpersonationRequest } from '../impersonation/impersonation';
import { type Form, parameter, required } from './form';
import { OAuthError } from './oauth-error';

/** RFC 8693 §2.1. */
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';
/** The `subject_token` is the id of a user: its meaning is not for a token of that user. */
export const USER_ID_TYPE = 'urn:token-type:user_id';

const MAX_REASON_CHARS = 200;
const REASON = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+$/u;

/** The request of an administrator for a token that acts as a user (ADR 29). */
export function impersonationRequest(form: Form, audience: string): ImpersonationRequest {
  assertType(form, 'subject_token_type', USER_ID_TYPE);
  assertType(form, 'actor_token_type', ACCESS_TOKEN_TYPE);
  if (parameter(form, 'requested_token_type') !== undefined)
    assertType(form, 'requested_token_type', ACCESS_TOKEN_TYPE);
  for (const name of ['audience', 'resource']) assertTarget(form, name, audience);
  if (parameter(form, 'scope') !== undefined)
    throw new OAuthError('invalid_scope', 'Tokens of users have no scopes.');
  return {
    userId: required(form, 'subject_token'),
    actorToken: required(form, 'actor_token'),
    reason: reasonOf(form),
  };
}

function assertType(form: Form, name: string, expected: string): void {
  if (required(form, name) !== expected)
    throw new OAuthError('invalid_request', `${name} must be ${expected}.`);
}

/** These two may be repeated; the token is for the one audience of this service. */
function assertTarget(form: Form, name: string, audience: string): void {
  const targets = [form[name] ?? []].flat().filter((one) => one !== '');
  if (targets.some((one) => one !== audience))
    throw new OAuthError('invalid_target', `The only target is ${audience}.`);
}

function reasonOf(form: Form): string | undefined {
  const reason = parameter(form, 'reason');
  if (reason !== undefined && (reason.length > MAX_REASON_CHARS || !REASON.test(reason)))
    throw new OAuthError(
      'invalid_request',
      `reason must be one line of at most ${MAX_REASON_CHARS} characters.`,
    );
  return reason;
}
