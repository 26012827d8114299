import type { Request, RequestHandler } from 'express';
import type { Connection } from 'mongoose';
import type { z } from 'zod';
import type { Config } from '../../../kernel/config/config';
import type { ClientDigest } from '../../../kernel/crypto/client-digest';
import type { Counters } from '../../../platform/counters/counters';
import type { Route } from '../../../platform/http/endpoint';
import type { Locks } from '../../../platform/mongo/locks';
import type { Logger } from '../../../platform/telemetry/logger';
import type { EmitEvent } from '../../domain-events';
import type { Sessions } from '../sessions/sessions';
import { baseUrlOf } from '../settings';
import { createBegunSignIns } from '../sign-in/begun-sign-ins';
import type { UsersPort } from '../users-port';
import { createBrowserCookie } from './browser-cookie';
import { createFederatedSignIn, type FederatedSignInDependencies } from './federated-sign-in';
import { createIdentities, type Identities, worksWith } from './identities';
import { createLinking } from './linking';
import { createProvider } from './provider';
import { createAccountResolver } from './resolve-account';
import { createFederationRoutes } from './routes';
import { createSteps, STEP_SECONDS, type Steps } from './steps';

export interface FederationDependencies
  extends Pick<FederatedSignInDependencies, 'provenSignIn' | 'devices'> {
  readonly config: Config;
  readonly connection: Connection;
  readonly log: Logger;
  readonly users: UsersPort;
  readonly sessions: Pick<Sessions, 'endOthers'>;
  readonly locks: Locks;
  readonly counters: Counters;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
  readonly clientDigest: ClientDigest;
  readonly emit: EmitEvent;
  readonly limiter: RequestHandler;
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  readonly signInAnswer: z.ZodType;
  readonly hasOtherSignIn: (userId: string) => Promise<boolean>;
}

export interface Federation {
  readonly routes: readonly Route[];
  readonly identities: Identities;
  readonly steps: Pick<Steps, 'forget'>;
  /** As users know it. */
  readonly providerName: (id: string) => string;
}

/** Sign-in with OpenID Connect providers (docs/adr/0032-sign-in-with-others.md). No I/O. */
export function createFederation(deps: FederationDependencies): Federation {
  const { config, connection, log } = deps;
  const { createsAccounts, redirectUrls, timeoutMs, attemptsMax } = config.federation;
  const stored = { timeoutMs: config.database.operationTimeoutMs };
  const identities = createIdentities(connection, { ...stored, now: deps.now });
  const steps = createSteps(connection, stored);
  const baseUrl = baseUrlOf(config);
  const providers = config.federation.providers.map((settings) => {
    const redirectUri = `${baseUrl}/api/auth/oidc/${settings.id}/callback`;
    return createProvider({ settings, redirectUri, timeoutMs, log });
  });
  const signIn = createFederatedSignIn({
    ...{ ...deps, providers, steps, identities },
    cookie: createBrowserCookie(baseUrl, STEP_SECONDS.attempt),
    countBegun: createBegunSignIns({
      ...{ ...deps, key: 'federation:attempts', max: attemptsMax },
      windowMs: STEP_SECONDS.attempt * 1000,
      detail: 'Too many sign-ins have begun.',
    }),
    resolveAccount: createAccountResolver({ ...deps, identities, createsAccounts }),
  });
  const works = worksWith(config.federation.providers);
  const linking = createLinking({ ...deps, identities, steps, works });
  return {
    routes: createFederationRoutes({ ...deps, signIn, linking, baseUrl, redirectUrls }),
    identities,
    steps,
    providerName: (id) => config.federation.providers.find((one) => one.id === id)?.name ?? id,
  };
}
