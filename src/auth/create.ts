import type { Request, RequestHandler } from 'express';
import type { Connection } from 'mongoose';
import type { Cache, Region } from '../cache/port';
import type { Config } from '../config';
import type { Counters } from '../data/counters';
import { principalOf, type Route } from '../http/endpoint';
import type { Closable } from '../lifecycle';
import type { Logger } from '../observability/logger';
import type { Metrics } from '../observability/metrics';
import type { CachedUser } from '../users/cached';
import type { UserRepository } from '../users/repository';
import type { AccountEvent } from '../users/routes';
import type { UserService } from '../users/service';
import { createAdminRoutes } from './admin-routes';
import { createAudit } from './audit';
import { createAuditReader } from './audit-reader';
import { authenticate } from './authenticate';
import { clientOf } from './client';
import { createDiscoveryRoutes } from './discovery-routes';
import type { KeyRing } from './keys';
import { createKnownDevices } from './known-devices';
import { createMailFlows } from './mail-flows';
import { createMailRoutes } from './mail-routes';
import { createMailer } from './mailer';
import { createOAuth } from './oauth';
import { createOAuthRoutes } from './oauth-routes';
import { createOneTimeTokens } from './one-time-tokens';
import { createOutbox } from './outbox';
import { newPassword, type Passwords } from './passwords';
import { createAuthRoutes } from './routes';
import { createAuthService } from './service';
import { createServiceAccounts } from './service-accounts';
import { createSessionRoutes } from './session-routes';
import { createSessionStore } from './session-store';
import { createSessions } from './sessions';
import { createSubjects } from './subjects';
import { createThrottle } from './throttle';
import { createTokens } from './tokens';

export interface AuthDependencies {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly connection: Connection;
  readonly keys: KeyRing;
  readonly counters: Counters;
  readonly cache: Cache;
  readonly users: Region<CachedUser>;
  readonly userService: UserService;
  readonly repository: UserRepository;
  readonly passwords: Passwords;
  /** For the routes that take guesses at credentials. */
  readonly limiter: RequestHandler;
  readonly own: <T extends Closable>(name: string, resource: T) => T;
  /** Wall clock, ms since the epoch. */
  readonly now?: () => number;
}

export interface Auth {
  readonly authenticate: RequestHandler;
  readonly routes: readonly Route[];
  /** For what a stolen access token must not do: throws 401 unless the login was recent (RFC 9470). */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  /** What was done to an account elsewhere, for the audit log; a removed one is forgotten here too. */
  readonly record: (event: AccountEvent, subject: string, req: Request, leftEmail?: string) => void;
}

/** Puts the parts of authentication together. No I/O: the stores are connected. */
export function createAuth(deps: AuthDependencies): Auth {
  const {
    config,
    log,
    metrics,
    connection,
    keys,
    counters,
    cache,
    users,
    userService,
    repository,
    passwords,
    limiter,
    own,
    now = Date.now,
  } = deps;
  const timeoutMs = config.database.operationTimeoutMs;
  const settings = config.sessions;

  const tokens = createTokens({ ...tokenSettings(config), keys, now });
  const audit = own('audit log', createAudit({ connection, log, metrics, timeoutMs, ttlDays: settings.auditTtlDays, now }));
  const mailer = own('mailer', createMailer(config, log));
  const outbox = own('outbox', createOutbox({ queueMax: config.mail.queueMax, closeTimeoutMs: config.mail.timeoutMs, log, metrics }));
  const throttle = createThrottle({ counters, settings, now });
  const devices = createKnownDevices(connection, { timeoutMs, now });

  const sessions = createSessions({
    store: createSessionStore(connection, { timeoutMs }),
    users,
    userService,
    tokens,
    audit,
    settings,
    accessTtlSeconds: config.auth.accessTokenTtlSeconds + config.auth.clockLeewaySeconds,
    now,
  });
  const mailTokens = createOneTimeTokens(connection, { timeoutMs, now });
  const mails = createMailFlows({
    users: userService,
    repository,
    passwords,
    sessions,
    throttle,
    tokens: mailTokens,
    outbox,
    mailer,
    counters,
    audit,
    linkBase: config.mail.linkBase ?? baseUrlOf(config),
  });
  const service = createAuthService({ users: userService, repository, passwords, sessions, throttle, devices, mails, audit });

  const services = createServiceAccounts(connection, cache, { timeoutMs, now });
  const subjects = createSubjects(users, services);
  const { issuer, audience } = tokenSettings(config);
  const oauth = createOAuth({ tokens, sessions, subjects, services, audit, issuer, audience });

  function record(type: AccountEvent, subject: string, req: Request, leftEmail?: string): void {
    audit.record({ type, result: 'success', actor: req.principal?.userId, subject, client: clientOf(req) });
    if (leftEmail !== undefined) mails.emailChanged(leftEmail);
    if (type !== 'account_removed') return;
    // Housekeeping: none of these is good for anything without the account.
    outbox.enqueue('forget-account', async () => {
      await Promise.all([sessions.forget(subject), devices.forget(subject), mailTokens.revokeAll(subject)]);
    });
  }

  return {
    record,
    assertRecentLogin: (req) => sessions.assertRecentLogin(principalOf(req).sessionId),
    authenticate: authenticate({ tokens, subjects }),
    routes: [
      ...createAuthRoutes({ service, newPassword, limiter }),
      ...createSessionRoutes({ service }),
      ...createMailRoutes({ mails, service, newPassword, limiter }),
      ...createOAuthRoutes({ oauth, limiter }),
      ...createDiscoveryRoutes({ keys, issuer, baseUrl: baseUrlOf(config) }),
      ...createAdminRoutes({ services, audit, reader: createAuditReader(connection, { timeoutMs }) }),
    ],
  };
}

/** The service as clients see it. */
export const baseUrlOf = ({ server }: Config): string => (server.publicUrl ?? `http://localhost:${server.port}`).replace(/\/+$/, '');

const tokenSettings = (config: Config) => ({
  issuer: config.auth.issuer ?? baseUrlOf(config),
  audience: config.auth.audience,
  ttlSeconds: config.auth.accessTokenTtlSeconds,
  leewaySeconds: config.auth.clockLeewaySeconds,
  cacheMaxEntries: config.auth.tokenCacheMaxEntries,
});
