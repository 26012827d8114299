/** The administrator that acts as the user of the token (RFC 8693 §4.1). */
export interface ActorClaim {
  readonly sub: string;
  readonly sid: string;
  readonly ver: number;
}

/** The claims of an access token (RFC 9068). Times are in seconds since the epoch. */
export interface AccessTokenClaims {
  readonly iss: string;
  readonly aud: string;
  /** The user, or the service account. */
  readonly sub: string;
  readonly client_id?: string;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
  /** Session version of the user, or token version of the service account. */
  readonly ver: number;
  /** The session. Of users only. */
  readonly sid?: string;
  /** Of users only. */
  readonly role?: string;
  /** Of service accounts only: scopes, separated by spaces. */
  readonly scope?: string;
  readonly act?: ActorClaim;
  readonly auth_time?: number;
  readonly acr?: string;
  readonly email_verified?: boolean;
  readonly [claim: string]: unknown;
}

/** A token whose signature and claims are right. It may have been ended. */
export interface SignedToken {
  readonly claims: AccessTokenClaims;
  /** The key that signed it. */
  readonly kid: string;
}

/** Throws where a claim of this service's tokens is missing or malformed. */
export function readClaims(
  payload: Readonly<Record<string, unknown>>,
  latestSeconds: number,
): AccessTokenClaims {
  const { aud, sub, jti, iat, exp, ver, sid, scope, act } = payload;
  if (typeof aud !== 'string') throw new Error('aud must be one text');
  if (!isText(sub) || !isText(jti)) throw new Error('sub and jti must be texts');
  if (!isCount(iat) || !isCount(exp) || !isCount(ver) || exp <= iat)
    throw new Error('iat, exp and ver must be numbers in order');
  if (iat > latestSeconds) throw new Error('issued in the future');
  if (scope === undefined ? !isText(sid) : typeof scope !== 'string')
    throw new Error('a session or a scope is missing');
  if (act !== undefined && !isActor(act)) throw new Error('act is malformed');
  return frozen({ ...payload }) as AccessTokenClaims;
}

/** All requests with one token get the same object: none changes what the others read. */
function frozen<T extends object>(value: T): T {
  for (const inner of Object.values(value))
    if (typeof inner === 'object' && inner !== null) frozen(inner);
  return Object.freeze(value);
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

function isActor(value: unknown): value is ActorClaim {
  if (typeof value !== 'object' || value === null) return false;
  const { sub, sid, ver } = value as Record<string, unknown>;
  return isText(sub) && isText(sid) && isCount(ver);
}
