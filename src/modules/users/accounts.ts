import type { TypedCache } from '../../platform/cache/port';
import type { Cause } from '../domain-events';
import { type CachedUser, sessionStands, toCached } from './cached';
import type { NewUser } from './changes';
import { sampleHashParameters } from './hash-parameters';
import type { NoteLogin } from './last-login';
import { metadataChanges } from './metadata/changes';
import type { TokenClaimsOf } from './metadata/claims';
import { userMetadata } from './metadata/contract';
import type { IndexedPath } from './metadata/indexed';
import type { JsonObject, UserModel } from './model';
import type { createPendingEnds } from './pending-ends';
import type { UserRepository } from './repository';
import type { UserService } from './service';
import type { TokensEnded } from './settled-ends';
import { userView } from './view';

interface AccountsDependencies {
  readonly service: UserService;
  readonly repository: UserRepository;
  readonly cached: TypedCache<CachedUser>;
  readonly model: UserModel;
  readonly timeoutMs: number;
  readonly indexed: readonly IndexedPath[];
  readonly noteLogin: NoteLogin;
  readonly tokenClaims: TokenClaimsOf;
  readonly tokensEnded: TokensEnded;
  readonly pendingEnds: ReturnType<typeof createPendingEnds>;
}

type NewAccount = Pick<NewUser, 'name' | 'email' | 'passwordHash' | 'role' | 'emailVerified'> & {
  readonly id?: string;
  readonly hasSharedId?: boolean;
  readonly userMetadata?: JsonObject | undefined;
};

/**
 * The users for the module that authenticates. That module declares the interface that it needs;
 * the app holds this against it.
 */
export function createAccounts(deps: AccountsDependencies) {
  const { service, repository, cached, model, timeoutMs, indexed } = deps;
  const ownMetadata = (own: JsonObject | undefined) => {
    const actor = { userId: '', permissions: new Set<never>() };
    const write = { actor, id: undefined, how: 'replace', indexed } as const;
    return metadataChanges({}, { user_metadata: own }, write);
  };
  const { credentialsByEmail, credentialsById, rehash } = repository;
  const { setPassword, resetPassword, replacePassword, changePassword } = service;
  const { confirmEmail, endSessions, revokeSessions } = service;
  return {
    view: userView,
    sessionStands,
    peek: cached.peek,
    get: service.find,
    async stored(id: string): Promise<CachedUser | null> {
      const found = await repository.find(id);
      return found === null ? null : toCached(found);
    },
    identity: repository.find,
    ...{ credentialsByEmail, credentialsById, rehash },
    userMetadata,
    /** Of the user itself, who is signed in by it. */
    create: ({ userMetadata: own, ...account }: NewAccount, cause: Cause) =>
      service.create({ ...account, isSignedIn: true, metadata: ownMetadata(own) }, cause),
    ...{ setPassword, resetPassword, replacePassword, changePassword },
    ...{ confirmEmail, endSessions, revokeSessions },
    exists: (id: string) => repository.exists(id),
    existing: (ids: readonly string[]) => repository.existing(ids),
    tokensEnded: deps.tokensEnded,
    pendingEnds: deps.pendingEnds,
    noteLogin: deps.noteLogin,
    tokenClaims: deps.tokenClaims,
    /** The costs of the bcrypt hashes in use, by a sample. */
    sampleHashParameters: () => sampleHashParameters(model, timeoutMs),
  };
}

export type Accounts = ReturnType<typeof createAccounts>;
