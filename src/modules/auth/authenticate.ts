import type { Request, RequestHandler } from 'express';
import { Problem, problems } from '../../kernel/errors';
import type { Permission, Policy } from '../../kernel/permissions';
import type { GuardsOf, MayStill } from '../../platform/http/endpoint';
import { forRequest } from '../../platform/telemetry/request-work';
import { authorize, type Need } from './authorize';
import { accountOf, Principal, principalOf } from './principal';
import { invalidToken } from './problems';
import type { AccessClaims } from './tokens/claims';
import { createKidReader } from './tokens/jws';
import type { Subject, SubjectResolver } from './tokens/subject-resolver';
import type { Tokens } from './tokens/tokens';
import type { Account } from './users-port';

const missing = () =>
  problems.unauthorized('missing_token', 'Send an access token: Authorization: Bearer …');

/** RFC 6750 §2.1; the scheme's name is case-insensitive (RFC 9110 §11.1). */
function bearerOf(req: Request): string {
  const header = req.headers.authorization;
  if (header === undefined) throw missing();
  // Clients send one space; RFC 9110 §11.4 allows several.
  const token =
    header.startsWith('Bearer ') && header[7] !== ' '
      ? header.slice(7)
      : /^bearer +(\S+)$/i.exec(header)?.[1];
  if (token === undefined || token === '') throw missing();
  return token;
}

interface GuardDependencies {
  readonly tokens: Tokens;
  readonly subjects: SubjectResolver;
  readonly policy: Policy;
}

/**
 * Checks the token, then the cached user: removal, bans, changes of role and ended sessions take
 * effect here. The cache is coherent with the database, so revocation is as immediate as any read.
 * Then the permission that the endpoint needs.
 */
function authenticate({ tokens, subjects, policy }: GuardDependencies, need: Need): RequestHandler {
  function accept(req: Request, claims: AccessClaims, subject: Subject | null): void {
    if (subject === null) throw invalidToken();
    const principal = principalFrom(claims, subject, policy);
    req.context.principal = principal;
    authorize(req, principal, need);
  }

  /**
   * Writes by anyone with permissions, or as somebody else, are authorized by the role or the
   * scopes in MongoDB, not in Redis. Such requests are rare.
   */
  const needsConfirmation = (req: Request) =>
    req.method !== 'GET' && req.method !== 'HEAD' && isPowerful(principalOf(req));

  async function confirm(req: Request, claims: AccessClaims): Promise<void> {
    accept(req, claims, await subjects.confirm(claims));
  }

  async function read(req: Request, claims: AccessClaims): Promise<void> {
    accept(req, claims, await subjects.get(claims));
    if (needsConfirmation(req)) await confirm(req, claims);
  }

  return (req, _res, next) => {
    const claims = tokens.verify(bearerOf(req));
    const near = subjects.peek(claims);
    if (near !== undefined) {
      accept(req, claims, near);
      if (needsConfirmation(req))
        forRequest(req.context, () => confirm(req, claims).then(() => next(), next));
      else next();
      return;
    }
    forRequest(req.context, () => read(req, claims).then(() => next(), next));
  };
}

/** On every request: a spread here took 6 µs of it. */
function principalFrom(
  { sid: sessionId, ver: sessionVersion, act }: AccessClaims,
  subject: Subject,
  policy: Policy,
): Principal {
  if (subject.kind === 'user') {
    const { user: account } = subject;
    const { id: userId, role } = account;
    const permissions = policy.permissionsOf(role);
    const impersonator = act?.sub;
    return new Principal({
      userId,
      sessionId,
      sessionVersion,
      permissions,
      account,
      impersonator,
    });
  }
  const permissions = new Set<Permission>(subject.scopes);
  return new Principal({ userId: subject.id, sessionId, sessionVersion, permissions });
}

const isPowerful = ({ permissions, impersonator }: Principal): boolean =>
  permissions.size > 0 || impersonator !== undefined;

/**
 * For answers that go on for long: whether a request of the sender would still be accepted. Its
 * token has not expired, its session stands, and it has the permission.
 */
export const createRecheck =
  ({ tokens, subjects, policy }: GuardDependencies): MayStill =>
  async (req, permission) => {
    try {
      const claims = tokens.verify(bearerOf(req));
      const subject = subjects.peek(claims) ?? (await subjects.get(claims));
      return subject !== null && principalFrom(claims, subject, policy).permissions.has(permission);
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return false;
      throw error;
    }
  };

/** The user of a request to an endpoint that service accounts cannot use. */
export function userOf(req: Request): Account {
  const account = accountOf(req);
  if (account === undefined) throw new Error('no account on an authenticated request');
  return account;
}

/** Where the kid of a token is not known, waits for the next read of the keys. */
function awaitingKeys(
  learn: (kid: string) => Promise<void> | undefined,
  authenticated: RequestHandler,
): RequestHandler {
  const kidOf = createKidReader();
  return (req, res, next) => {
    const kid = kidOf(bearerOf(req));
    const learning = kid === undefined ? undefined : learn(kid);
    if (learning === undefined) authenticated(req, res, next);
    else learning.then(() => authenticated(req, res, next)).catch(next);
  };
}

/** Authentication, and the permission that the endpoint needs. `learn`: of remote keys. */
export function createGuards(
  deps: GuardDependencies,
  learn?: (kid: string) => Promise<void> | undefined,
): GuardsOf {
  return (endpoint) => {
    const { id, path, permission, own } = endpoint;
    if (own === true && (permission === undefined || !path.includes('/:id')))
      throw new Error(`${id}: own goes with a permission and a path with :id`);
    const authenticated = authenticate(deps, endpoint);
    return [learn === undefined ? authenticated : awaitingKeys(learn, authenticated)];
  };
}
