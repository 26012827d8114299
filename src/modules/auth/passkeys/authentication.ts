import type { RelyingParty } from '../../../kernel/config/relying-party';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { Logger } from '../../../platform/telemetry/logger';
import type { EmitEvent } from '../../domain-events';
import { reportingRefusal } from '../refusals';
import type { CountBegunSignIn } from '../sign-in/begun-sign-ins';
import type { Account, UsersPort } from '../users-port';
import {
  CeremonyError,
  challengeOf,
  loadLibrary,
  type VerifiedAssertion,
  verifyAssertion,
} from './ceremonies';
import type { ChallengeFor, Challenges } from './challenges';
import { requestOptionsOf, type UserVerification } from './options';
import type { Passkey, PasskeyHolder, PasskeyStore } from './passkey-store';
import { invalidPasskey, invalidPasskeyChallenge } from './problems';
import type { AssertionJson, RequestOptions } from './webauthn-schemas';

/** Whose second factor is asked for, and by which session or pending sign-in. */
interface FactorHolder {
  readonly userId: string;
  /** Id of the session, or digest of the token of the pending sign-in. */
  readonly holder: string;
}

export interface UsedPasskey {
  readonly passkey: Passkey;
  readonly isUserVerified: boolean;
}

export interface PasskeyAuthentication {
  /** Throws 429 and 503 where too many sign-ins have begun. */
  beginSignIn(client: ClientInfo): Promise<RequestOptions>;
  /**
   * The account of a discoverable passkey, which has verified its user. Throws 400
   * `invalid_passkey_challenge` and 401 `invalid_passkey`.
   */
  finishSignIn(
    credential: AssertionJson,
    client: ClientInfo,
  ): Promise<UsedPasskey & { readonly account: Account }>;
  beginFactor(of: FactorHolder): Promise<RequestOptions>;
  /** Throws as `finishSignIn` does. */
  finishFactor(
    of: FactorHolder,
    credential: AssertionJson,
    client: ClientInfo,
  ): Promise<UsedPasskey>;
}

export interface PasskeyAuthenticationDependencies {
  readonly party: () => RelyingParty;
  readonly userVerification: UserVerification;
  readonly ttlSeconds: number;
  readonly store: PasskeyStore;
  readonly challenges: Challenges;
  readonly countBegun: CountBegunSignIn;
  readonly users: Pick<UsersPort, 'get'>;
  readonly log: Logger;
  readonly emit: EmitEvent;
}

const factorTarget = (of: FactorHolder): ChallengeFor => ({ purpose: 'factor', ...of });

/** One authenticator may send a counter that another has never sent: 0 means none. */
const hasGrown = (before: number, now: number) => (before === 0 && now === 0) || now > before;

export function createPasskeyAuthentication(
  deps: PasskeyAuthenticationDependencies,
): PasskeyAuthentication {
  const { party, userVerification, ttlSeconds, store, challenges, users, log, emit } = deps;

  async function consume(credential: AssertionJson, target: ChallengeFor): Promise<string> {
    const challenge = challengeOf(credential);
    if (challenge === undefined || !(await challenges.consume(challenge, target)))
      throw invalidPasskeyChallenge();
    return challenge;
  }

  /** Checks the answer, then stores the use: a passkey that was removed meanwhile is refused. */
  async function accept(
    credential: AssertionJson,
    holder: PasskeyHolder | null,
    expected: { readonly challenge: string; readonly verifiesUser: boolean },
    client: ClientInfo,
  ): Promise<UsedPasskey> {
    const passkey = holder?.passkeys.find(({ credentialId }) => credentialId === credential.id);
    if (holder === null || passkey === undefined) throw new CeremonyError('no such passkey');
    const { userId, handle } = holder;
    const all = { party: party(), ...expected };
    const verified = await verifyAssertion(credential, passkey, handle, all);
    const before = await store.use(userId, passkey.credentialId, verified);
    if (before === null) throw new CeremonyError('the passkey was removed meanwhile');
    if (!hasGrown(before.counter, verified.counter))
      reportCounter(userId, before, verified, client);
    return { passkey, isUserVerified: verified.isUserVerified };
  }

  /** WebAuthn §7.2 step 22: a sign of a copy, but not a proof: some authenticators count badly. */
  function reportCounter(
    userId: string,
    { id: passkey, counter: stored }: Passkey,
    { counter }: VerifiedAssertion,
    client: ClientInfo,
  ): void {
    log.warn({ userId, passkey, stored, counter }, 'passkey counter did not grow');
    emit('PasskeyCounterStalled', { userId, passkey, actor: userId, client });
  }

  /** One answer for every reason. */
  async function refusing<T>(userId: string | undefined, work: Promise<T>) {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof CeremonyError)) throw error;
      log.info({ userId, reason: error.message }, 'passkey refused');
      throw invalidPasskey();
    }
  }

  async function signIn(
    credential: AssertionJson,
    holder: PasskeyHolder | null,
    challenge: string,
    client: ClientInfo,
  ): Promise<UsedPasskey & { account: Account }> {
    // Read before the use is stored: sessions that end after it are those of this sign-in too.
    const account = holder === null ? null : await users.get(holder.userId);
    if (account?.status !== 'active') throw new CeremonyError('no usable account');
    // WebAuthn §7.2 step 6: without a user name, the handle is required.
    if (typeof credential.response.userHandle !== 'string')
      throw new CeremonyError('the answer has no user handle');
    // Alone it must count as two factors.
    const expected = { challenge, verifiesUser: true };
    return { ...(await accept(credential, holder, expected, client)), account };
  }

  async function optionsFor(
    target: ChallengeFor,
    passkeys: readonly Passkey[],
    verification: UserVerification,
  ): Promise<RequestOptions> {
    const relyingParty = party();
    loadLibrary().catch(() => undefined);
    const challenge = await challenges.issue(target);
    const common = { party: relyingParty, challenge, ttlSeconds };
    return requestOptionsOf(passkeys, { ...common, userVerification: verification });
  }

  return {
    async beginSignIn(client) {
      await deps.countBegun(client);
      return optionsFor({ purpose: 'sign-in' }, [], 'required');
    },

    async finishSignIn(credential, client) {
      /** Known once the passkey is. */
      let userId: string | undefined;
      const refused = (reason: string) => emit('LoginFailed', { userId, reason, client });
      return reportingRefusal(refused, async () => {
        const challenge = await consume(credential, { purpose: 'sign-in' });
        const holder = await store.findByCredential(credential.id);
        userId = holder?.userId;
        return refusing(userId, signIn(credential, holder, challenge, client));
      });
    },

    async beginFactor(of) {
      const holder = await store.find(of.userId);
      return optionsFor(factorTarget(of), holder?.passkeys ?? [], userVerification);
    },

    async finishFactor(of, credential, client) {
      const challenge = await consume(credential, factorTarget(of));
      const holder = await store.find(of.userId);
      const expected = { challenge, verifiesUser: userVerification === 'required' };
      return refusing(of.userId, accept(credential, holder, expected, client));
    },
  };
}
