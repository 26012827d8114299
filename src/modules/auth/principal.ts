import type { Request } from 'express';
import type { Actor, PermissionSet } from '../../kernel/permissions';
import type { Caller } from '../../platform/http/context';
import type { Account } from './users-port';

interface PrincipalFields {
  readonly userId: string;
  readonly sessionId: string;
  /** Session version of the presented token. */
  readonly sessionVersion: number;
  /** By the role of a user, or the scopes of a service account. */
  readonly permissions: PermissionSet;
  /** The user as the cache holds it; a service account has none. */
  readonly account?: Account;
  /** Id of the administrator who acts as the user (RFC 8693). */
  readonly impersonator?: string | undefined;
}

/** The user or service account that sent the request, as `authenticate` found it. */
export class Principal implements Caller, Actor {
  readonly userId: string;
  readonly sessionId: string;
  readonly sessionVersion: number;
  readonly permissions: PermissionSet;
  readonly account?: Account;
  readonly isService: boolean;
  readonly impersonator: string | undefined;

  constructor(fields: PrincipalFields) {
    const { userId, sessionId, sessionVersion, permissions, account } = fields;
    this.userId = userId;
    this.sessionId = sessionId;
    this.sessionVersion = sessionVersion;
    this.permissions = permissions;
    this.isService = account === undefined;
    this.impersonator = fields.impersonator;
    if (account !== undefined) this.account = account;
  }

  get id(): string {
    return this.userId;
  }

  /** One session does not get the answers to another session's requests. */
  get idempotencyScope(): string {
    return `user ${this.userId} session ${this.sessionId}`;
  }
}

/** The principal of a request to an endpoint whose access is not public. */
export function principalOf(req: Request): Principal {
  const { principal } = req.context;
  if (principal instanceof Principal) return principal;
  throw new Error(`no principal on ${req.method} ${req.path}: is the endpoint public?`);
}

/** The signed-in user; undefined where a service account sent the request. */
export const accountOf = (req: Request): Account | undefined => principalOf(req).account;
