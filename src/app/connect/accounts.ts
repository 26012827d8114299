import {
  type Auth,
  createAuth,
  exportHash,
  foreignHash,
  importHash,
  type KeyRing,
  NO_PASSWORD,
  newPasswordOf,
  openCompromisedPasswords,
  principalOf,
  type RemoteKeyRing,
  refuseKnownPassword,
} from '../../modules/auth';
import {
  createTokenClaims,
  createUsers,
  indexedMetadata,
  type Users,
  type UsersDependencies,
} from '../../modules/users';
import type { Shared } from './dependencies';

/** Users and their authentication, which ask each other through ports. */
export function connectAccounts(
  shared: Shared,
  keys: KeyRing | RemoteKeyRing,
): { readonly users: Users; readonly auth: Auth } {
  const { config, log, own, removals } = shared;
  const users: Users = createUsers({
    ...shared,
    async announceRemoval(userId, events) {
      await removals.announce(userId, events);
      await auth.revocations.announceRemoval(userId);
    },
    removedAmong: removals.announced,
    tokensEnded: (userIds) => auth.revocations.settle(userIds),
    bulk: bulkOf(shared),
    indexed: indexedMetadata(config),
    tokenClaims: createTokenClaims(config),
    passwords: passwordsOf(shared, (password) => auth.hashPassword(password)),
    invitations: {
      assertMailConfigured: () => auth.invitations.assertMailConfigured(),
      inviteLater: (userId, cause) => auth.invitations.inviteLater(userId, cause),
    },
    requesterOf: principalOf,
    assertRecentLogin: (req) => auth.assertRecentLogin(req),
    serviceScopes: (id) => auth.serviceScopes(id),
    cleanUp: (accounts) => auth.cleanUp(accounts),
  });
  const compromised = own('compromised passwords', openCompromisedPasswords(config, log));
  const auth: Auth = createAuth({ ...shared, compromised, keys, users: users.accounts });
  return { users, auth };
}

function bulkOf({ config, jobs, stored, traffic }: Shared): UsersDependencies['bulk'] {
  const { importMaxBytes, importMaxLines, importUploadTimeoutMs } = config.jobs;
  return {
    ...{ ...jobs, stored, restMs: traffic.restMs },
    maxBytes: importMaxBytes,
    maxLines: importMaxLines,
    uploadTimeoutMs: importUploadTimeoutMs,
  };
}

function passwordsOf(
  { config }: Shared,
  hash: (password: string) => Promise<string>,
): UsersDependencies['passwords'] {
  return {
    newPassword: newPasswordOf(config.auth.passwordHash),
    refuseIdentity: refuseKnownPassword,
    none: NO_PASSWORD,
    hash,
    foreignHash,
    importHash: (foreign) => importHash(foreign, config.auth.bcryptCost),
    exportHash,
  };
}
