import type { Request, RequestHandler } from 'express';
import { Problem, problems } from '../errors';
import type { CachedUser } from '../users/cached';
import type { Subject, Subjects } from './subjects';
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

/** RFC 6750 §3.1. */
const insufficientScope = (scope: string | undefined) =>
  new Problem(403, 'insufficient_scope', 'Forbidden', {
    detail: scope === undefined ? 'This is for signed-in users alone.' : `A service account needs the scope ${scope} for this.`,
    headers: {
      'WWW-Authenticate': `Bearer realm="api", error="insufficient_scope"${scope === undefined ? '' : `, scope="${scope}"`}`,
    },
  });

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
export function authenticate({ tokens, subjects }: { tokens: Tokens; subjects: Subjects }): RequestHandler {
  function accept(req: Request, claims: AccessClaims, subject: Subject | null): void {
    if (subject === null) throw invalidToken();
    if (subject.kind === 'user') {
      const { user } = subject;
      req.account = user;
      req.principal = { userId: user.id, sessionId: claims.sid, sessionVersion: claims.ver, role: user.role };
      return;
    }
    const { id, scopes } = subject;
    const wanted = req.requiredScope;
    if (wanted === undefined || !scopes.includes(wanted)) throw insufficientScope(wanted);
    // Within its scopes a service account acts for the administrator who made it.
    req.principal = { userId: id, sessionId: claims.sid, sessionVersion: claims.ver, role: 'admin', scopes };
  }

  return (req, _res, next) => {
    const claims = tokens.verify(bearerOf(req));
    const near = subjects.peek(claims);
    if (near !== undefined) {
      accept(req, claims, near);
      next();
      return;
    }
    subjects
      .get(claims)
      .then((subject) => {
        accept(req, claims, subject);
        next();
      })
      .catch(next);
  };
}

/** The user of a request to an endpoint whose access is not public. */
export function userOf(req: Request): CachedUser {
  if (req.account === undefined) throw new Error('no account on an authenticated request');
  return req.account;
}
