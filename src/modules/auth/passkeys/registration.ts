import type { RelyingParty } from '../../../kernel/config/relying-party';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { Logger } from '../../../platform/telemetry/logger';
import { invalidToken } from '../problems';
import { deviceName } from '../sessions/device-name';
import type { CurrentSession } from '../sessions/end-sessions';
import type { UsersPort } from '../users-port';
import type { UsedPasskey } from './authentication';
import {
  CeremonyError,
  challengeOf,
  loadLibrary,
  type VerifiedRegistration,
  verifyRegistration,
} from './ceremonies';
import type { ChallengeFor, Challenges } from './challenges';
import { creationOptionsOf, type UserVerification } from './options';
import type { PasskeyStore } from './passkey-store';
import {
  invalidPasskeyChallenge,
  passkeyExists,
  passkeyNotAccepted,
  tooManyPasskeys,
} from './problems';
import type { CreationOptions, RegistrationJson } from './webauthn-schemas';

export interface PasskeyRegistration {
  /** Throws 409 `too_many_passkeys`. */
  begin(current: CurrentSession): Promise<CreationOptions>;
  /**
   * Throws 400 `invalid_passkey_challenge` and `passkey_not_accepted`, and 409 `passkey_exists` and
   * `too_many_passkeys`.
   */
  finish(
    current: CurrentSession,
    given: { readonly name?: string | undefined; readonly credential: RegistrationJson },
    client: ClientInfo,
    /** Right before the passkey is added. */
    adding: () => Promise<void>,
  ): Promise<UsedPasskey>;
}

export interface PasskeyRegistrationDependencies {
  readonly party: () => RelyingParty;
  readonly userVerification: UserVerification;
  readonly ttlSeconds: number;
  readonly perUser: number;
  readonly store: PasskeyStore;
  readonly challenges: Challenges;
  readonly users: Pick<UsersPort, 'identity'>;
  readonly log: Logger;
}

const targetOf = ({ userId, sid }: CurrentSession): ChallengeFor => ({
  purpose: 'registration',
  userId,
  holder: sid,
});

export function createPasskeyRegistration(
  deps: PasskeyRegistrationDependencies,
): PasskeyRegistration {
  const { party, userVerification, ttlSeconds, perUser, store, challenges, users, log } = deps;

  async function verify(
    current: CurrentSession,
    credential: RegistrationJson,
  ): Promise<VerifiedRegistration> {
    const challenge = challengeOf(credential);
    const isOurs =
      challenge !== undefined && (await challenges.consume(challenge, targetOf(current)));
    if (!isOurs) throw invalidPasskeyChallenge();
    const verifiesUser = userVerification === 'required';
    try {
      return await verifyRegistration(credential, { party: party(), challenge, verifiesUser });
    } catch (error) {
      if (!(error instanceof CeremonyError)) throw error;
      log.info({ userId: current.userId, reason: error.message }, 'passkey not accepted');
      throw passkeyNotAccepted();
    }
  }

  return {
    async begin(current) {
      const relyingParty = party();
      loadLibrary().catch(() => undefined);
      const owner = await users.identity(current.userId);
      if (owner === null) throw invalidToken();
      const holder = await store.open(current.userId);
      if (holder.passkeys.length >= perUser) throw tooManyPasskeys(perUser);
      const challenge = await challenges.issue(targetOf(current));
      const common = { party: relyingParty, challenge, userVerification, ttlSeconds };
      return creationOptionsOf(holder, owner, common);
    },

    async finish(current, { name, credential }, client, adding) {
      const verified = await verify(current, credential);
      const { userId, ver } = current;
      const { handle } = await store.open(userId);
      const passkey = { ...verified.passkey, name: name ?? deviceName(client.userAgent) };
      await adding();
      const added = await store.add(userId, handle, passkey, { max: perUser, version: ver });
      if (added === 'ended') throw invalidToken();
      if (added === 'exists') throw passkeyExists();
      if (added === 'too_many') throw tooManyPasskeys(perUser);
      return { passkey: added, isUserVerified: verified.isUserVerified };
    },
  };
}
