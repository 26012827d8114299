import type { Connection } from 'mongoose';
import type { Config } from '../../../kernel/config/config';
import type { Closable } from '../../../kernel/lifecycle';
import type { MayStill, Route } from '../../../platform/http/endpoint';
import type { Logger } from '../../../platform/telemetry/logger';
import type { KeyRing } from '../keys/keys';
import type { ServiceAccounts } from '../service-accounts/service-accounts';
import { MAX_ACCESS_SECONDS, MAX_LEEWAY_SECONDS } from '../sessions/end-sessions';
import { baseUrlOf, tokenSettings } from '../settings';
import type { UsersPort } from '../users-port';
import { createRevocations, type Revocations } from './revocations';
import { createRevocationRoutes } from './routes';
import { createSecurityEventRoutes } from './security-event-routes';
import { createSecurityEvents } from './security-events';

/**
 * The longest life of an access token under any settings, and the permitted difference of clocks.
 */
const RETAIN_MS = (MAX_ACCESS_SECONDS + 2 * MAX_LEEWAY_SECONDS) * 1000;

interface Dependencies {
  readonly config: Config;
  readonly connection: Connection;
  readonly log: Logger;
  readonly own: <T extends Closable>(name: string, resource: T) => T;
  readonly now: () => number;
  readonly users: Pick<UsersPort, 'pendingEnds' | 'exists' | 'existing'>;
  readonly mayStill: MayStill;
  /** A remote key ring cannot sign: the process serves no routes of this module. */
  readonly keys: Pick<KeyRing, 'signing'>;
}

/** For the command that removes keys: no document says that their tokens have ended. */
export function createKeyRevocation({
  config,
  connection,
  log,
  now,
}: Pick<Dependencies, 'config' | 'connection' | 'log' | 'now'>) {
  const { record } = createRevocations({
    ...{ connection, log, now, sources: [], retainMs: RETAIN_MS },
    timeoutMs: config.database.operationTimeoutMs,
    leaseMs: config.auth.revocationLeaseMs,
    userExists: async () => true,
    existingUsers: async (ids) => new Set(ids),
  });
  return async (keys: readonly string[]): Promise<void> => {
    if (keys.length > 0) await record({ type: 'keys_removed', keys });
  };
}

export interface OpenRevocations {
  readonly revocations: Revocations;
  readonly routes: readonly Route[];
}

export function openRevocations(
  deps: Dependencies,
  services: Pick<ServiceAccounts, 'pendingEnds'>,
): OpenRevocations {
  const { config, users, now, mayStill } = deps;
  const revocations = deps.own(
    'revocation log',
    createRevocations({
      ...deps,
      timeoutMs: config.database.operationTimeoutMs,
      leaseMs: config.auth.revocationLeaseMs,
      retainMs: RETAIN_MS,
      userExists: users.exists,
      existingUsers: users.existing,
      sources: [users.pendingEnds, services.pendingEnds],
    }),
  );
  const { issuer } = tokenSettings(config);
  const { log, waitFor } = revocations;
  const timeoutMs = config.database.operationTimeoutMs;
  const poll = createSecurityEvents({ ...deps, timeoutMs, log, waitFor, issuer });
  return {
    revocations,
    routes: [
      ...createRevocationRoutes({ revocations, retainMs: RETAIN_MS, now, mayStill }),
      ...createSecurityEventRoutes({ poll, issuer, baseUrl: baseUrlOf(config), mayStill }),
    ],
  };
}
