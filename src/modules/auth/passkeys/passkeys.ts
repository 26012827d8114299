import type { Connection } from 'mongoose';
import type { Config } from '../../../kernel/config/config';
import { type RelyingParty, relyingPartyOf } from '../../../kernel/config/relying-party';
import type { ClientDigest } from '../../../kernel/crypto/client-digest';
import type { Counters } from '../../../platform/counters/counters';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { Logger } from '../../../platform/telemetry/logger';
import type { EmitEvent } from '../../domain-events';
import type { FactorChanges } from '../factors/factor-changes';
import type { FactorKind } from '../factors/factor-kinds';
import type { OwnFactors } from '../factors/own-factors';
import { holderOf, type VerifyFactor } from '../factors/verify-factor';
import { createIdentities, worksWith } from '../federation/identities';
import { hasPassword } from '../passwords/no-password';
import type { CurrentSession } from '../sessions/end-sessions';
import type { KnownDevices } from '../sessions/known-devices';
import type { DeliveredPair } from '../sessions/token-pair';
import { createBegunSignIns } from '../sign-in/begun-sign-ins';
import type { SignInResult } from '../sign-in/complete-sign-in';
import type { ProvenSignIn } from '../sign-in/proven-sign-in';
import type { Account, UsersPort } from '../users-port';
import { createPasskeyAdministration, type PasskeyAdministration } from './administration';
import { createPasskeyAuthentication, type PasskeyAuthentication } from './authentication';
import { createChallenges } from './challenges';
import { createPasskeyKind, methodsOf } from './factor-kind';
import { createPasskeyStore, type Passkey, type PasskeyStore } from './passkey-store';
import { invalidPasskey, passkeyNotFound, passkeysNotConfigured } from './problems';
import { createPasskeyRegistration, type PasskeyRegistration } from './registration';
import type { AssertionJson, RegistrationJson, RequestOptions } from './webauthn-schemas';

interface Registered {
  readonly passkey: Passkey;
  /** The session has the passkey as a factor, as of now. */
  readonly tokens: DeliveredPair;
  /** Of a first factor. */
  readonly recoveryCodes: readonly string[] | undefined;
}

export interface Passkeys extends PasskeyAdministration {
  /** undefined: this service has no passkeys. */
  readonly rpId: string | undefined;
  /** Throws 401 unless the login was recent and, where the account has a factor, with it. */
  readonly beginRegistration: (current: CurrentSession, account: Account) => Promise<object>;
  readonly finishRegistration: (
    current: CurrentSession,
    account: Account,
    given: { readonly name?: string | undefined; readonly credential: RegistrationJson },
    client: ClientInfo,
  ) => Promise<Registered>;
  remove(current: CurrentSession, account: Account, id: string, client: ClientInfo): Promise<void>;
  beginSignIn(client: ClientInfo): Promise<RequestOptions>;
  /**
   * Throws 400 `invalid_passkey_challenge`, 401 `invalid_passkey` and 403
   * `password_change_required`.
   */
  signIn(credential: AssertionJson, client: ClientInfo): Promise<SignInResult>;
  /** For `POST /api/auth/mfa/verify`. Throws 400 `invalid_mfa_token`. */
  beginSecondFactor(mfaToken: string, client: ClientInfo): Promise<RequestOptions>;
  /** For `POST /api/auth/mfa/step-up`. */
  beginStepUp(current: CurrentSession): Promise<RequestOptions>;
}

export interface PasskeyPartsDependencies {
  readonly config: Config;
  readonly connection: Connection;
  readonly counters: Counters;
  readonly users: UsersPort;
  readonly log: Logger;
  readonly emit: EmitEvent;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
  readonly clientDigest: ClientDigest;
}

/** The ceremonies and their stores, before there are factors and sign-ins. */
export interface PasskeyParts {
  readonly rpId: string | undefined;
  readonly store: PasskeyStore;
  readonly registration: PasskeyRegistration;
  readonly authentication: PasskeyAuthentication;
  readonly kind: FactorKind;
}

export function createPasskeyParts(deps: PasskeyPartsDependencies): PasskeyParts {
  const { config, connection, users, log, emit, now } = deps;
  const {
    userVerification,
    perUser,
    challengesMax,
    challengeTtlSeconds: ttlSeconds,
  } = config.passkeys;
  const timeoutMs = config.database.operationTimeoutMs;
  const relyingParty = relyingPartyOf(config);
  const party = (): RelyingParty => {
    if (relyingParty === undefined) throw passkeysNotConfigured();
    return relyingParty;
  };
  const store = createPasskeyStore(connection, { timeoutMs, now });
  const challenges = createChallenges(connection, { timeoutMs, ttlSeconds });
  const countBegun = createBegunSignIns({
    ...{ ...deps, key: 'passkeys:sign-in-challenges', max: challengesMax },
    windowMs: ttlSeconds * 1000,
    detail: 'Too many sign-ins by passkey have begun.',
  });
  const common = { party, userVerification, ttlSeconds, store, challenges, users, log, emit };
  const authentication = createPasskeyAuthentication({ ...common, countBegun });
  const identities = createIdentities(connection, { timeoutMs, now });
  const works = worksWith(config.federation.providers);
  async function hasOtherWay(userId: string): Promise<boolean> {
    const found = await users.credentialsById(userId);
    if (found !== null && hasPassword(found.passwordHash)) return true;
    return (await identities.ofUser(userId)).some(works);
  }
  return {
    ...{ store, authentication, rpId: relyingParty?.id },
    registration: createPasskeyRegistration({ ...common, perUser }),
    kind: createPasskeyKind({ store, authentication, hasOtherWay }),
  };
}

export interface PasskeysDependencies {
  readonly parts: PasskeyParts;
  readonly devices: Pick<KnownDevices, 'knownUntil'>;
  readonly factors: OwnFactors;
  readonly changes: FactorChanges;
  readonly verifier: Pick<VerifyFactor, 'waitingAccount'>;
  readonly users: Pick<UsersPort, 'credentialsById'>;
  readonly provenSignIn: ProvenSignIn;
  readonly emit: EmitEvent;
}

export function createPasskeys(deps: PasskeysDependencies): Passkeys {
  const { parts, devices, users, factors, changes, verifier } = deps;
  const { store, registration, authentication } = parts;
  return {
    rpId: parts.rpId,
    ...createPasskeyAdministration({ store, emit: deps.emit }),

    async beginRegistration(current, { role }) {
      await factors.assertMayChange(current, role);
      return registration.begin(current);
    },

    async finishRegistration(current, { role }, given, client) {
      await factors.assertMayChange(current, role);
      const { userId, sid: session, ver: version } = current;
      const adding = () => changes.changing({ userId, session });
      const registered = await registration.finish(current, given, client, adding);
      const change = { userId, session, version, actor: userId, client };
      const { passkey } = registered;
      const added = { kind: parts.kind, id: passkey.id };
      // The owner hears of it even where the session ends meanwhile.
      const recoveryCodes = await changes.added(added, change);
      const verified = { id: passkey.id, amr: methodsOf(registered) };
      const tokens = await changes.stepUp(current, parts.kind, verified);
      return { passkey, tokens, recoveryCodes };
    },

    async remove(current, { role }, id, client) {
      await factors.assertMayChange(current, role);
      const { userId, sid: session } = current;
      const found = (await store.find(userId))?.passkeys.some((one) => one.id === id);
      if (found !== true) {
        await changes.completeRemoval({ userId, session });
        throw passkeyNotFound();
      }
      await factors.remove(current, role, id, client);
    },

    beginSignIn: authentication.beginSignIn,

    async signIn(credential, client) {
      const used = await authentication.finishSignIn(credential, client);
      const { account } = used;
      const stored = await users.credentialsById(account.id);
      if (stored === null) throw invalidPasskey();
      const knownUntil = await devices.knownUntil(stored, client);
      const { role, sessionVersion } = account;
      const found = { ...stored, role, sessionVersion };
      const step = { amr: methodsOf(used), client, knownUntil };
      return deps.provenSignIn(found, step, invalidPasskey);
    },

    async beginSecondFactor(mfaToken, client) {
      const { id: userId } = await verifier.waitingAccount(mfaToken, client);
      return authentication.beginFactor({ userId, holder: holderOf(mfaToken) });
    },

    beginStepUp: ({ userId, sid: holder }) => authentication.beginFactor({ userId, holder }),
  };
}
