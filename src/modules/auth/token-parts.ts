import type { Role } from '../../kernel/permissions';
import { createRecheck } from './authenticate';
import { createImpersonation } from './impersonation/impersonation';
import { createOAuth } from './oauth/oauth';
import type { AuthDependencies, AuthParts } from './parts';
import { openRevocations } from './revocations/open-revocations';
import { createServiceAccounts } from './service-accounts/service-accounts';
import { tokenSettings } from './settings';
import { createSubjectResolver } from './tokens/subject-resolver';

/** Token subjects of every kind, OAuth, and revocation by other services. */
export function createTokenParts(deps: AuthDependencies, parts: AuthParts) {
  const { config, connection, cache, users, policy, emit, now } = deps;
  const { tokens, sessions } = parts;
  const { tokensEnded } = users;
  const timeoutMs = config.database.operationTimeoutMs;
  const { issuer, audience } = tokenSettings(config);
  const services = createServiceAccounts(connection, cache, { timeoutMs, now, tokensEnded, emit });
  const mayImpersonate = (role: Role) => policy.permissionsOf(role).has('users:impersonate');
  const subjects = createSubjectResolver(users, services, mayImpersonate);
  const mayStill = createRecheck({ tokens, subjects, policy });
  const impersonation = createImpersonation({
    ...{ tokens, subjects, sessions, users, policy, emit, now },
    ttlSeconds: config.auth.impersonationTtlSeconds,
  });
  const oauth = createOAuth({
    ...{ tokens, sessions, subjects, services, impersonation, emit, issuer, audience, tokensEnded },
  });
  const external = openRevocations({ ...deps, mayStill }, services);
  return { services, subjects, mayStill, oauth, external, issuer };
}
