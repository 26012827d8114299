import type { Request } from 'express';
import type { Scope } from '../../kernel/permissions';
import type { GuardsOf, MayStill, Route } from '../../platform/http/endpoint';
import type { Module } from '../../platform/module';
import type { DomainEvents } from '../domain-events';
import { type AuthAdministration, createAuthAdministration } from './administration';
import { createBulkCleanUp } from './administration/bulk-clean-up';
import { createFactorAdministrationRoutes } from './administration/factor-routes';
import { createMailAdministrationRoutes } from './administration/mail-routes';
import { createSessionAdministration } from './administration/session-administration';
import { createSessionAdministrationRoutes } from './administration/session-routes';
import { createGuards } from './authenticate';
import { refuseImpersonator } from './authorize';
import { withCookieGuard } from './browser/cookie-guard';
import { createPageOrigins } from './browser/page-origin';
import { createRefresh } from './browser/refresh-by-cookie';
import { withTokenBinding } from './browser/token-binding';
import { createEmailSignInRoutes } from './email-sign-in/routes';
import { createFactorRoutes } from './factors/routes';
import { createFederation } from './federation';
import { createDiscoveryRoutes } from './oauth/discovery-routes';
import { createOAuthRoutes } from './oauth/routes';
import { type AuthDependencies, createParts } from './parts';
import { createPasskeyRoutes } from './passkeys/routes';
import { newPasswordOf } from './passwords/password-rules';
import { createAuthPersonalData } from './personal-data';
import { principalOf } from './principal';
import { accountPage } from './recovery/account-page';
import type { MailFlows } from './recovery/mail-flows';
import { createMailRoutes } from './recovery/routes';
import type { OpenRevocations } from './revocations/open-revocations';
import { createServiceAccountRoutes } from './service-accounts/routes';
import { createSessionRoutes } from './sessions/routes';
import { baseUrlOf } from './settings';
import { signInAnswerOf } from './sign-in/contract';
import { createAuthRoutes } from './sign-in/routes';
import { authStorage } from './storage';
import { authSubscribers } from './subscribers';
import { createTokenParts } from './token-parts';

export { authExtension } from './http-extension';
export { developmentSecretIn } from './keys/development-secret';
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
  checkCompromisedPasswords,
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
export { REVOCATIONS_COLLECTION } from './revocations/log';
export { createKeyRevocation } from './revocations/open-revocations';
export { hashSettings, issuerOf } from './settings';
export { authStorage } from './storage';

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
  readonly mayStill: MayStill;
  /** Under the paths of users, and so for the process that serves users. They sign no token. */
  readonly userRoutes: readonly Route[];
  readonly revocations: Pick<OpenRevocations['revocations'], 'settle' | 'announceRemoval'>;
  /** Reads what it needs before the first request. */
  start(): Promise<void>;
}

/** Puts the parts of authentication together. No I/O: the stores are connected. */
export function createAuth(deps: AuthDependencies): Auth {
  const { config, keys, users, policy, limiter } = deps;
  const newPassword = newPasswordOf(config.auth.passwordHash);
  const parts = createParts(deps);
  const { service, sessions, tokens, mails, passwords, dpop } = parts;
  const { services, subjects, mayStill, oauth, external, issuer } = createTokenParts(deps, parts);
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
    mayStill,
    guardsOf: withCookieGuard(guardsOf, { pages, sessions, dpop, policy }),
    revocations: external.revocations,
    async start() {
      external.revocations.start();
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
        ...external.routes,
        ...createDiscoveryRoutes({ keys, issuer, baseUrl: baseUrlOf(config) }),
        ...createServiceAccountRoutes({ services, users, policy, assertRecentLogin, mayStill }),
      ],
      { pages, dpop },
    ),
    userRoutes: [
      ...createFactorAdministrationRoutes({ ...parts, users, policy }),
      ...createMailAdministrationRoutes({ users, mails, policy, limiter }),
      ...createSessionAdministrationRoutes({
        service: createSessionAdministration({ ...deps, sessions }),
        assertRecentLogin,
      }),
    ],
  };
}
