import { isRoleName, type Role } from '../../../kernel/permissions';
import { tokenExpired } from '../problems';

/**
 * RFC 8693 §4.1: the administrator who acts as `sub`, and the session in which it does, which ends
 * the token with it.
 */
export interface ActorClaim {
  readonly sub: string;
  readonly sid: string;
  readonly ver: number;
}

/**
 * The claims of an access token (RFC 9068 §2.2) that the service reads. Times are NumericDate, in
 * seconds.
 */
export interface AccessClaims {
  readonly sub: string;
  /** The session. For a service account, which has none: the id of the account. */
  readonly sid: string;
  /**
   * The session version of the user, or the token version of the service account, at the issue.
   * Tokens of lower versions are revoked.
   */
  readonly ver: number;
  /** Of users only. Authorization uses the present role of the account instead. */
  readonly role?: Role;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
  /** The client: a service account, or the deployment's own app. Older tokens have none. */
  readonly client_id?: string;
  /** When the user signed in (RFC 9470 §6.1). */
  readonly auth_time?: number;
  /** The assurance of the authentication: `aal1` or `aal2`. */
  readonly acr?: string;
  /** Of a token by which an administrator acts as the user. */
  readonly act?: ActorClaim;
  /** Of service accounts only: their scopes, separated by spaces (RFC 9068 §2.2.3). */
  readonly scope?: string;
}

const MAX_ID_CHARS = 128;
/** Of users and service accounts. */
const ACCOUNT_ID = /^[0-9a-f]{24}$/;
/** The latest NumericDate that a Date can hold. */
const MAX_SECONDS = 8.64e12;

/** Throws when a claim is missing or malformed, and 401 `token_expired` past `exp`. */
export function readClaims(
  claims: Record<string, unknown>,
  nowSeconds: number,
  leewaySeconds: number,
): AccessClaims {
  const exp = time(claims, 'exp');
  const iat = time(claims, 'iat');
  const nbf = claims['nbf'] === undefined ? iat : time(claims, 'nbf');
  if (iat > nowSeconds + leewaySeconds || nbf > nowSeconds + leewaySeconds || exp <= iat)
    throw new Error('not valid yet');
  const sub = id(claims, 'sub');
  if (!ACCOUNT_ID.test(sub)) throw new Error('sub');
  const common = {
    sub,
    jti: id(claims, 'jti'),
    iat,
    exp,
    ver: integer(claims, 'ver'),
    ...optionalClaims(claims),
  };
  const own =
    claims['scope'] === undefined ? userClaims(claims) : { sid: sub, scope: text(claims, 'scope') };
  // Last: `token_expired` is for tokens that are valid otherwise.
  if (nowSeconds >= exp + leewaySeconds) throw tokenExpired();
  return Object.freeze({ ...common, ...own });
}

function optionalClaims(
  claims: Record<string, unknown>,
): Pick<AccessClaims, 'client_id' | 'auth_time' | 'acr'> {
  return {
    ...(claims['client_id'] === undefined ? {} : { client_id: id(claims, 'client_id') }),
    ...(claims['acr'] === undefined ? {} : { acr: id(claims, 'acr') }),
    ...(claims['auth_time'] === undefined ? {} : { auth_time: time(claims, 'auth_time') }),
  };
}

function userClaims(claims: Record<string, unknown>): Pick<AccessClaims, 'sid' | 'role' | 'act'> {
  const role = text(claims, 'role');
  // Of the form of a role: it may have left the settings since, and it decides nothing here.
  if (!isRoleName(role)) throw new Error('role');
  const own = { sid: id(claims, 'sid'), role };
  return claims['act'] === undefined ? own : { ...own, act: actorClaim(claims['act']) };
}

function actorClaim(value: unknown): ActorClaim {
  if (typeof value !== 'object' || value === null) throw new Error('act');
  const claims = value as Record<string, unknown>;
  const sub = id(claims, 'sub');
  // Nobody impersonates by a token that impersonates.
  if (!ACCOUNT_ID.test(sub) || claims['act'] !== undefined) throw new Error('act');
  return Object.freeze({ sub, sid: id(claims, 'sid'), ver: integer(claims, 'ver') });
}

export const numericDate = (date: Date): number => Math.floor(date.getTime() / 1000);

function time(claims: Record<string, unknown>, name: string): number {
  const value = integer(claims, name);
  if (value > MAX_SECONDS) throw new Error(name);
  return value;
}

function text(claims: Record<string, unknown>, name: string): string {
  const value = claims[name];
  if (typeof value !== 'string') throw new Error(name);
  return value;
}

function integer(claims: Record<string, unknown>, name: string): number {
  const value = claims[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Error(name);
  return value;
}

function id(claims: Record<string, unknown>, name: string): string {
  const value = text(claims, name);
  if (value === '' || value.length > MAX_ID_CHARS) throw new Error(name);
  return value;
}
