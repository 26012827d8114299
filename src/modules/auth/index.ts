import type { Request, RequestHandler } from 'express';
import { createClientDigest } from '../../kernel/crypto/client-digest';
import type { Policy, Role, Scope } from '../../kernel/permissions';
import type { Cache } from '../../platform/cache/port';
import type { AttemptCounters } from '../../platform/counters/counters';
import type { GuardsOf, Route } from '../../platform/http/endpoint';
import type { Module } from '../../platform/module';
import type { Locks } from '../../platform/mongo/locks';
import type { DomainEvents, EmitEvent } from '../domain-events';
import { type AuthAdministration, createAuthAdministration } from './administration';
import { createBulkCleanUp } from './administration/bulk-clean-up';
import { createFactorAdministrationRoutes } from './administration/factor-routes';
import { createMailAdministrationRoutes } from './administration/mail-routes';
import { createSessionAdministration } from './administration/session-administration';
import { createSessionAdministrationRoutes } from './administration/session-routes';
import { createGuards, createRecheck } from './authenticate';
import { refuseImpersonator } from './authorize';
import { openBackgroundQueue } from './background-jobs';
import { withCookieGuard } from './browser/cookie-guard';
import { createPageOrigins } from './browser/page-origin';
import { createRefresh } from './browser/refresh-by-cookie';
import { withTokenBinding } from './browser/token-binding';
import { createDpop } from './dpop/dpop';
import { createUsedProofs } from './dpop/used-proofs';
import { createEmailSignIn } from './email-sign-in/email-sign-in';
import { createMailedCodes } from './email-sign-in/mailed-codes';
import { createEmailSignInRoutes } from './email-sign-in/routes';
import { createFactors } from './factors/factors';
import { createFactorRoutes } from './factors/routes';
import { createFederation } from './federation';
import { createImpersonation } from './impersonation/impersonation';
import { exposeSigningKey } from './keys/key-metrics';
import type { KeyRing } from './keys/keys';
import type { RemoteKeyRing } from './keys/remote-keyring';
import { createLoginGuard } from './login-guard';
import { createDiscoveryRoutes } from './oauth/discovery-routes';
import { createOAuth } from './oauth/oauth';
import { createOAuthRoutes } from './oauth/routes';
import { createPasskeyParts, createPasskeys } from './passkeys/passkeys';
import { createPasskeyRoutes } from './passkeys/routes';
import type { CompromisedPasswords } from './passwords/compromised/compromised-passwords';
import { newPasswordOf } from './passwords/password-rules';
import { createPasswords } from './passwords/passwords';
import { createAuthPersonalData } from './personal-data';
import { principalOf } from './principal';
import { accountPage } from './recovery/account-page';
import { createMailFlows, type MailFlows } from './recovery/mail-flows';
import { createOneTimeTokens } from './recovery/one-time-tokens';
import { type DeliveryDependencies, openMailDelivery } from './recovery/open-delivery';
import { createMailRoutes } from './recovery/routes';
import { type OpenRevocations, openRevocations } from './revocations/open-revocations';
import { createServiceAccountRoutes } from './service-accounts/routes';
import { createServiceAccounts } from './service-accounts/service-accounts';
import { createKnownDevices } from './sessions/known-devices';
import { createSessionRoutes } from './sessions/routes';
import { createSessionStore } from './sessions/session-store';
import { createSessions } from './sessions/sessions';
import { baseUrlOf, hashQueueSettings, hashSettings, tokenSettings } from './settings';
import { createCompleteSignIn, createOpenSignIn } from './sign-in/complete-sign-in';
import { signInAnswerOf } from './sign-in/contract';
import { createProvenSignIn } from './sign-in/proven-sign-in';
import { createPasswordDemand } from './sign-in/required-password';
import { createAuthRoutes } from './sign-in/routes';
import { createAuthService } from './sign-in/service';
import { authStorage } from './storage';
import { authSubscribers } from './subscribers';
import { createSubjectResolver } from './tokens/subject-resolver';
import { createTokens } from './tokens/tokens';
import type { UsersPort } from './users-port';

export { createKeyReaders, type KeyReader } from './keys/key-readers';
export { keyState, type RotationRules } from './keys/key-schedule';
export { JWKS_MAX_AGE_SECONDS } from './keys/keyring';
export { createSecretKeyRing, type KeyRing } from './keys/keys';
export {
  connectKeys,
  deploymentSecrets,
  openKeyStore,
  rotationRules,
} from './keys/open-keyring';
export type { RemoteKeyRing } from './keys/remote-keyring';
export { type RotationMode, rotateKeys } from './keys/rotate-keys';
export {
  openCompromisedPasswords,
  refusingCompromised,
} from './passwords/compromised/compromised-passwords';
export { buildList } from './passwords/compromised/list-builder';
export { falsePositiveRate, ListError, PREFIX_BYTES } from './passwords/compromised/list-format';
export { type CompromisedList, openCompromisedList } from './passwords/compromised/list-reader';
export { argon2Source } from './passwords/formats/argon2-derive';
export {
  exportHash,
  foreignHash,
  importHash,
  importHashSync,
} from './passwords/formats/foreign-hash';
export { createHashAlgorithm, type HashSettings } from './passwords/hash-algorithm';
export { isKnownBy, PASSWORD_IS_IDENTITY, refuseKnownPassword } from './passwords/identity';
export { NO_PASSWORD } from './passwords/no-password';
export { newPasswordOf } from './passwords/password-rules';
export {
  described,
  environmentOf,
  type Measured,
  tunePasswords,
} from './passwords/tune';
export { principalOf } from './principal';
export { loadAuthMailTemplates } from './recovery/mail-kinds';
export { createKeyRevocation } from './revocations/open-revocations';
export { hashSettings, issuerOf } from './settings';
export { authStorage } from './storage';

export interface AuthDependencies extends DeliveryDependencies {
  /** A remote key ring verifies and cannot sign: the process serves no routes of this module. */
  readonly keys: KeyRing | RemoteKeyRing;
  readonly counters: AttemptCounters;
  readonly compromised: CompromisedPasswords;
  readonly cache: Cache;
  readonly locks: Locks;
  readonly users: UsersPort;
  readonly policy: Policy;
  readonly emit: EmitEvent;
  /** For the routes where credentials can be guessed. */
  readonly limiter: RequestHandler;
}

export interface Auth extends Module<DomainEvents> {
  readonly guardsOf: GuardsOf;
  readonly administration: AuthAdministration;
  /** After a change of many accounts by an import. */
  readonly cleanUp: ReturnType<typeof createBulkCleanUp>;
  readonly invitations: Pick<MailFlows, 'assertMailConfigured' | 'invite' | 'inviteLater'>;
  /** Of a password to set: see `Passwords.hashNew`. */
  readonly hashPassword: (password: string) => Promise<string>;
  /**
   * Throws 401 unless the login was recent (RFC 9470): a stolen access token is not enough. Throws
   * 403 for an administrator who acts as the user.
   */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  /** Of a service account, from the database. null: there is none. */
  readonly serviceScopes: (id: string) => Promise<readonly Scope[] | null>;
  readonly mayStill: ReturnType<typeof createRecheck>;
  /** Under the paths of users, and so for the process that serves users. They sign no token. */
  readonly userRoutes: readonly Route[];
  readonly revocations: Pick<OpenRevocations['revocations'], 'settle' | 'announceRemoval'>;
  /** Reads what it needs before the first request. */
  start(): Promise<void>;
}

/** Puts the parts of authentication together. No I/O: the stores are connected. */
export function createAuth(deps: AuthDependencies): Auth {
  const { config, connection, keys, users, policy, emit, limiter, now } = deps;
  const newPassword = newPasswordOf(config.auth.passwordHash);
  const parts = createParts(deps);
  const { service, sessions, tokens, mails, passwords, dpop } = parts;
  const { tokensEnded } = users;
  const bounds = { timeoutMs: config.database.operationTimeoutMs, now, tokensEnded };
  const services = createServiceAccounts(connection, deps.cache, bounds);
  const outside = openRevocations(deps, services);
  const mayImpersonate = (role: Role) => policy.permissionsOf(role).has('users:impersonate');
  const subjects = createSubjectResolver(users, services, mayImpersonate);
  const { issuer, audience } = tokenSettings(config);
  const impersonation = createImpersonation({
    ...{ tokens, subjects, sessions, users, policy, emit, now },
    ttlSeconds: config.auth.impersonationTtlSeconds,
  });
  const oauth = createOAuth({
    ...{ tokens, sessions, subjects, services, impersonation, emit, issuer, audience, tokensEnded },
  });
  const pages = createPageOrigins(config.browser.origins);
  const cookieSeconds = config.sessions.idleTtlSeconds;
  const refresh = createRefresh({ refresh: sessions.refresh, pages, dpop, cookieSeconds });
  const learn = 'learn' in keys ? keys.learn : undefined;
  const guardsOf = createGuards({ tokens, subjects, policy }, learn);
  const assertRecentLogin = async (req: Request) => {
    refuseImpersonator(principalOf(req));
    await sessions.assertRecentLogin(principalOf(req).sessionId);
  };
  const federation = createFederation({
    ...{ ...deps, ...parts, assertRecentLogin },
    signInAnswer: signInAnswerOf(users),
    // Without an RP id nobody signs in by a passkey.
    hasOtherSignIn: async (userId) =>
      parts.passkeys.rpId !== undefined && (await parts.passkeyStore.canSignIn(userId)),
  });
  return {
    name: 'auth',
    storage: authStorage,
    ...createAuthPersonalData({ ...parts, ...federation, services }),
    subscribers: authSubscribers({ ...parts, ...federation, users }),
    administration: createAuthAdministration({ ...deps, ...parts }),
    cleanUp: createBulkCleanUp(parts),
    invitations: mails,
    hashPassword: (password) => passwords.hashNew(password, '/password'),
    assertRecentLogin,
    serviceScopes: async (id) => (await services.findStored(id))?.scopes ?? null,
    mayStill: createRecheck({ tokens, subjects, policy }),
    guardsOf: withCookieGuard(guardsOf, { pages, sessions, dpop, policy }),
    revocations: outside.revocations,
    async start() {
      outside.revocations.start();
      await passwords.start();
    },
    pages: accountPage(),
    routes: withTokenBinding(
      [
        ...createAuthRoutes({ service, refresh, newPassword, users, limiter }),
        ...createEmailSignInRoutes({ ...parts, limiter, signInAnswer: signInAnswerOf(users) }),
        ...createSessionRoutes({ service }),
        ...createFactorRoutes({ ...parts, users, limiter }),
        ...createPasskeyRoutes({ ...parts, users, limiter }),
        ...createMailRoutes({ mails, service, newPassword, limiter }),
        ...federation.routes,
        ...createOAuthRoutes({ oauth, dpop, limiter }),
        ...outside.routes,
        ...createDiscoveryRoutes({ keys, issuer, baseUrl: baseUrlOf(config) }),
        ...createServiceAccountRoutes({ services, users, policy, emit, assertRecentLogin }),
      ],
      { pages, dpop },
    ),
    userRoutes: [
      ...createFactorAdministrationRoutes({ ...parts, users, policy, assertRecentLogin }),
      ...createMailAdministrationRoutes({ users, mails, policy, limiter }),
      ...createSessionAdministrationRoutes({
        service: createSessionAdministration({ ...deps, sessions }),
        assertRecentLogin,
      }),
    ],
  };
}

/** Passwords, sessions, mails and the services on them. */
function createParts(deps: AuthDependencies) {
  const { config, log, metrics, connection, keys, counters, users, emit, now } = deps;
  const timeoutMs = config.database.operationTimeoutMs;
  const settings = config.sessions;
  exposeSigningKey(metrics, keys, now);
  const tokens = createTokens({
    ...{ ...tokenSettings(config), keys, now },
    claimsOf: users.tokenClaims,
  });
  const mailTokens = createOneTimeTokens(connection, { timeoutMs });
  const stored = { sample: users.sampleHashParameters, log };
  const passwords = createPasswords({
    ...hashQueueSettings(config),
    hashing: hashSettings(config),
    ...{ metrics, stored, compromised: deps.compromised, tracing: deps.tracing },
  });
  const delivery = openMailDelivery(deps, mailTokens);
  const backgroundQueue = openBackgroundQueue(deps);
  const clientDigest = createClientDigest(deps.secrets[0]);
  const loginGuard = createLoginGuard({ counters, settings: config.login, now, clientDigest });
  const devices = createKnownDevices(connection, { timeoutMs, now });
  const store = createSessionStore(connection, { timeoutMs });
  const dpop = createDpop({
    ...{ used: createUsedProofs(connection, { timeoutMs }), settings: config.dpop, now },
    publicUrl: config.server.publicUrl === undefined ? undefined : baseUrlOf(config),
  });
  const common = { users, emit, backgroundQueue };
  const sessions = createSessions({ ...common, store, tokens, settings, now });
  const account = { ...common, passwords, sessions, devices };
  const mails = createMailFlows({
    ...account,
    ...{ tokens: mailTokens, delivery, counters, now },
    mailsNewDevices: config.mail.newDevice,
    removeFactors: (userId, cause, before) => factors.factors.reset(userId, cause, before),
  });
  const openSignIn = createOpenSignIn({ ...account, mails });
  const passkeyParts = createPasskeyParts(deps);
  const factors = createFactors({
    ...{ ...deps, ...account, loginGuard, openSignIn },
    others: [passkeyParts.kind],
  });
  const completeSignIn = createCompleteSignIn(openSignIn, factors);
  const mailedCodes = createMailedCodes(connection, { timeoutMs });
  const demandPassword = createPasswordDemand({ tokens: mailTokens, emit });
  const provenSignIn = createProvenSignIn({ users, completeSignIn, demandPassword });
  const emailSignIn = createEmailSignIn({
    ...{ ...account, ...config.emailSignIn, loginGuard, delivery, provenSignIn },
    pending: mailedCodes,
    addressDigest: clientDigest,
  });
  const service = createAuthService({
    ...account,
    ...{ completeSignIn, provenSignIn, loginGuard, mails },
    tokens: mailTokens,
  });
  const passkeys = createPasskeys({
    ...{ parts: passkeyParts, devices, sessions, users, provenSignIn, emit },
    ...factors,
  });
  return {
    ...{ passkeys, passkeyStore: passkeyParts.store, tokens, passwords, backgroundQueue },
    ...{ devices, sessions, mails, service },
    ...{ store, mailTokens, mailedCodes, emailSignIn, delivery, dpop, now },
    provenSignIn,
    ...factors,
  };
}
