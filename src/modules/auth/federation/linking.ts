import type { ClientInfo } from '../../../platform/http/client-info';
import { type Locks, lockExpired } from '../../../platform/mongo/locks';
import type { EmitEvent } from '../../domain-events';
import { hasPassword } from '../passwords/no-password';
import { invalidToken } from '../problems';
import { reportingRefusal } from '../refusals';
import { assertStands } from '../sessions/assert-stands';
import type { CurrentSession } from '../sessions/end-sessions';
import type { Sessions } from '../sessions/sessions';
import { signInWaysLock } from '../sign-in/sign-in-ways-lock';
import type { UsersPort } from '../users-port';
import { IDENTITIES_MAX, type Identities, type Identity } from './identities';
import {
  identityTaken,
  invalidSignInCode,
  lastSignInMethod,
  noSuchIdentity,
  tooManyIdentities,
  unverifiedAccount,
} from './problems';
import type { ProviderClaims } from './provider';
import { isVerifierOf, type Journey, STEP_SECONDS, type Steps } from './steps';

/** The identities of the own account. The routes ask for a recent login. */
export interface Linking {
  list(userId: string): Promise<Identity[]>;
  /** A ticket for `start`. Throws 403 `email_not_verified`. */
  begin(
    current: CurrentSession,
    journey: Omit<Journey, 'link'>,
  ): Promise<{ readonly ticket: string; readonly expiresInSeconds: number }>;
  /**
   * Links the identity of a code that this session has begun. Throws 401 where the session ends
   * meanwhile, 400 `invalid_provider_code`, 403 `email_not_verified`, 409 `identity_taken` and
   * `too_many_identities`.
   */
  link(
    current: CurrentSession,
    code: string,
    verifier: string,
    client: ClientInfo,
  ): Promise<Identity>;
  /**
   * Removes the identity and ends every other session. Throws 404 `identity_not_found`, 409
   * `last_sign_in_method` and 503 `busy`.
   */
  unlink(current: CurrentSession, id: string, client: ClientInfo): Promise<void>;
}

export interface LinkingDependencies {
  readonly users: Pick<UsersPort, 'credentialsById' | 'stored' | 'sessionStands'>;
  readonly identities: Identities;
  readonly steps: Steps;
  readonly sessions: Pick<Sessions, 'endOthers'>;
  readonly locks: Locks;
  readonly emit: EmitEvent;
  /** Whether an identity can sign in. */
  readonly works: (identity: Identity) => boolean;
  /** Whether the account can be signed in to without a password and a provider: by a passkey. */
  readonly hasOtherSignIn: (userId: string) => Promise<boolean>;
}

export function createLinking(deps: LinkingDependencies): Linking {
  const { users, identities, steps, sessions, locks, emit } = deps;

  async function assertVerified(userId: string): Promise<void> {
    const account = await users.credentialsById(userId);
    if (account === null) throw invalidToken();
    if (!account.emailVerified) throw unverifiedAccount();
  }

  async function hasOtherWay(userId: string, id: string): Promise<boolean> {
    const account = await users.credentialsById(userId);
    if (account !== null && hasPassword(account.passwordHash)) return true;
    const others = (await identities.ofUser(userId)).filter((one) => one.id !== id);
    if (others.some(deps.works)) return true;
    return deps.hasOtherSignIn(userId);
  }

  /**
   * Removes the identity of an account that does not exist: it was removed, or never created,
   * because another account has its address by now.
   */
  async function dropOrphan(claims: ProviderClaims): Promise<boolean> {
    const known = await identities.find(claims);
    if (known === null || (await users.stored(known.userId)) !== null) return false;
    return identities.removeOrphan(known);
  }

  async function stored(
    current: CurrentSession,
    { provider, claims }: { readonly provider: string; readonly claims: ProviderClaims },
  ): Promise<{ readonly identity: Identity; readonly isNew: boolean }> {
    const { userId } = current;
    if ((await identities.ofUser(userId)).length >= IDENTITIES_MAX)
      throw tooManyIdentities(IDENTITIES_MAX);
    const { issuer, subject, email } = claims;
    const insert = () => identities.insert({ issuer, subject, provider, userId, email });
    const identity = (await insert()) ?? ((await dropOrphan(claims)) ? await insert() : null);
    if (identity !== null) {
      await assertStands(users, current, () => identities.remove(current.userId, identity.id));
      return { identity, isNew: true };
    }
    const known = await identities.find(claims);
    if (known?.userId !== userId) throw identityTaken();
    return { identity: known, isNew: false };
  }

  return {
    list: (userId) => identities.ofUser(userId),

    async begin({ userId, sid }, journey) {
      await assertVerified(userId);
      const ticket = await steps.issue('ticket', { ...journey, link: { userId, sid } });
      return { ticket, expiresInSeconds: STEP_SECONDS.ticket };
    },

    async link(current, code, verifier, client) {
      const { userId, sid: session } = current;
      /** Known once the code is. */
      let provider = '';
      const cause = { userId, client, actor: userId, session };
      const refused = (reason: string) =>
        emit('IdentityLinkRefused', { ...cause, provider, reason });
      return reportingRefusal(refused, async () => {
        await assertVerified(userId);
        const step = await steps.take('code', code, {});
        const isOwn = step?.link?.userId === userId && step.link.sid === session;
        if (!isOwn || !isVerifierOf(step, verifier)) throw invalidSignInCode();
        provider = step.provider;
        const { identity, isNew } = await stored(current, step);
        if (isNew) emit('IdentityLinked', { ...cause, provider });
        return identity;
      });
    },

    async unlink(current, id, client) {
      const { userId, sid } = current;
      const isRemoved = await locks.withLock(signInWaysLock(userId), async (until) => {
        const found = (await identities.ofUser(userId)).find((one) => one.id === id);
        if (found === undefined) return false;
        if (!(await hasOtherWay(userId, id))) throw lastSignInMethod();
        // Before the removal too, and after one that an earlier attempt has made: that may have
        // stopped in between.
        await sessions.endOthers(current);
        if (await identities.remove(userId, id, until)) {
          const { provider } = found;
          emit('IdentityUnlinked', { userId, provider, client, actor: userId, session: sid });
          return true;
        }
        if ((await identities.ofUser(userId)).some((one) => one.id === id)) throw lockExpired();
        return false;
      });
      // The owner of the provider's account may have opened one of them.
      await sessions.endOthers(current);
      if (!isRemoved) throw noSuchIdentity();
    },
  };
}
