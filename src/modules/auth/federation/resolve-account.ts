import { Types } from 'mongoose';
import { Problem } from '../../../kernel/errors';
import type { ClientInfo } from '../../../platform/http/client-info';
import { displayName } from '../../../platform/http/fields';
import { NO_PASSWORD } from '../passwords/no-password';
import type { UsersPort } from '../users-port';
import type { Identities, Identity } from './identities';
import { accountExists, noNewAccounts, unverifiedAtProvider } from './problems';
import type { ProviderClaims } from './provider';

export interface ResolveAccountDependencies {
  readonly users: Pick<UsersPort, 'create' | 'credentialsByEmail' | 'stored'>;
  readonly identities: Identities;
  readonly createsAccounts: boolean;
}

interface Resolved {
  /** Linked to an account that exists. */
  readonly identity: Identity;
  /** Whether this sign-in has created the account. */
  readonly isCreated: boolean;
}

/** The identity of a user of a provider, and its account. */
export type ResolveAccount = (
  provider: string,
  claims: ProviderClaims,
  client: ClientInfo,
) => Promise<Resolved>;

/**
 * A known identity leads to its account. For an unknown one an account is created, never found by
 * its address: the user of an address at a provider may not be the owner of the account here.
 * Throws 409 `account_exists`, 403 `provider_email_unverified` and `account_creation_disabled`.
 */
export function createAccountResolver(deps: ResolveAccountDependencies): ResolveAccount {
  const { users, identities, createsAccounts } = deps;

  /** The linked identity; null: none, or that of an account that was removed. */
  async function linked(claims: ProviderClaims): Promise<Identity | null> {
    const identity = await identities.find(claims);
    if (identity === null || identity.isReserved) return identity;
    if ((await users.stored(identity.userId)) !== null) return identity;
    await identities.remove(identity.userId, identity.id);
    return null;
  }

  /** Whether the identity leads to an account, which it does not before that is created. */
  const hasAccount = async ({ isReserved, userId }: Identity): Promise<boolean> =>
    !isReserved || (await users.stored(userId)) !== null;

  const isTaken = async ({ email }: ProviderClaims): Promise<boolean> =>
    email !== null && (await users.credentialsByEmail(email)) !== null;

  /**
   * The identity, where another request has created its account between the look for it and the
   * look for the address. Throws 409 `account_exists`.
   */
  async function createdMeanwhile(claims: ProviderClaims): Promise<Resolved> {
    const identity = await linked(claims);
    if (identity !== null && (await hasAccount(identity))) return { identity, isCreated: false };
    // Its account cannot be created any more. The owner of the address may link the identity.
    if (identity !== null) await identities.remove(identity.userId, identity.id);
    throw accountExists();
  }

  /** The address of a new account. Throws the problem that refuses it. */
  function newAddress({ email, emailVerified }: ProviderClaims): string {
    if (!createsAccounts) throw noNewAccounts();
    // An account for an unproven address could be waiting for the address's owner to sign in.
    if (email === null || !emailVerified) throw unverifiedAtProvider();
    return email;
  }

  /** Creates the account of a reserved identity. False: another request has. */
  async function create(
    { userId: id }: Identity,
    email: string,
    { name }: ProviderClaims,
    client: ClientInfo,
  ): Promise<boolean> {
    const account = { id, hasSharedId: true, email, name: nameOf(name, email) } as const;
    const rest = { emailVerified: true, passwordHash: NO_PASSWORD, role: 'user' } as const;
    try {
      await users.create({ ...account, ...rest }, { client });
      return true;
    } catch (error) {
      // The address or the id: the account of this id may exist now.
      if (!(error instanceof Problem) || error.code !== 'email_taken') throw error;
      if ((await users.stored(id)) === null) throw accountExists();
      return false;
    }
  }

  return async (provider, claims, client) => {
    const found = await linked(claims);
    if (found !== null && (await hasAccount(found))) return { identity: found, isCreated: false };
    if (await isTaken(claims)) return createdMeanwhile(claims);
    const email = newAddress(claims);
    // The identity comes first, with the id of the account: of two requests at once both create
    // that one account, and a crash in between leaves what the next sign-in completes.
    const { issuer, subject } = claims;
    const reserved =
      found ??
      (await identities.insert(
        { issuer, subject, provider, userId: new Types.ObjectId().toHexString(), email },
        { isReserved: true },
      )) ??
      (await identities.find(claims));
    if (reserved === null) throw accountExists();
    const isCreated = await create(reserved, email, claims, client);
    return { identity: reserved, isCreated };
  };
}

/** The provider's name of the user where it may be one here, else the local part of the address. */
function nameOf(name: string | null, email: string): string {
  const [local = 'User'] = email.split('@');
  const parsed = displayName.safeParse(name);
  return parsed.success ? parsed.data : local;
}
