import type { Request, RequestHandler } from 'express';
import type { Region } from '../cache/port';
import { problems } from '../errors';
import { type CachedUser, sessionStands } from '../users/cached';
import { type AccessClaims, invalidToken, type Tokens } from './tokens';

declare global {
  namespace Express {
    interface Request {
      /** The signed-in user as the cache holds it; set together with `principal`. */
      account?: CachedUser;
    }
  }
}

const missing = () => problems.unauthorized('missing_token', 'Send an access token: Authorization: Bearer …');

/** RFC 6750 §2.1; the scheme's name is case-insensitive (RFC 9110 §11.1). */
function bearerOf(req: Request): string {
  const header = req.headers.authorization;
  if (header === undefined) throw missing();
  const token = header.startsWith('Bearer ') ? header.slice(7) : /^bearer +(\S+)$/i.exec(header)?.[1];
  if (token === undefined || token === '') throw missing();
  return token;
}

/**
 * Signature first, then the user as the cache has it: deleted, banned, role changed, sessions ended are seen here with the
 * cache's claim, so that revocation has the same bound as any other read.
 */
export function authenticate(options: { tokens: Tokens; users: Region<CachedUser> }): RequestHandler {
  const { tokens, users } = options;

  function accept(req: Request, claims: AccessClaims, user: CachedUser | null): void {
    if (user === null || !sessionStands(user, claims.sid, claims.ver)) throw invalidToken();
    req.account = user;
    req.principal = { userId: user.id, sessionId: claims.sid, sessionVersion: claims.ver, role: user.role };
  }

  return (req, _res, next) => {
    const claims = tokens.verify(bearerOf(req));
    const near = users.peek(claims.sub);
    if (near !== undefined) {
      accept(req, claims, near);
      next();
      return;
    }
    users
      .get(claims.sub)
      .then((user) => accept(req, claims, user))
      .then(() => next(), next);
  };
}

/** The user of a request to an endpoint whose access is not public. */
export function userOf(req: Request): CachedUser {
  if (req.account === undefined) throw new Error('no account on an authenticated request');
  return req.account;
}
