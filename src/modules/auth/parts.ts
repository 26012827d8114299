import type { RequestHandler } from 'express';
import { createClientDigest } from '../../kernel/crypto/client-digest';
import type { Policy } from '../../kernel/permissions';
import type { Cache } from '../../platform/cache/port';
import type { AttemptCounters } from '../../platform/counters/counters';
import type { Locks } from '../../platform/mongo/locks';
import type { EmitEvent } from '../domain-events';
import { openBackgroundQueue } from './background-jobs';
import { createDpop } from './dpop/dpop';
import { createUsedProofs } from './dpop/used-proofs';
import { createEmailSignIn } from './email-sign-in/email-sign-in';
import { createMailedCodes, KEPT_SECONDS } from './email-sign-in/mailed-codes';
import { createFactors } from './factors/factors';
import { exposeSigningKey } from './keys/key-metrics';
import type { KeyRing } from './keys/keys';
import type { RemoteKeyRing } from './keys/remote-keyring';
import { createLoginGuard } from './login-guard';
import { createPasskeyParts, createPasskeys } from './passkeys/passkeys';
import type { CompromisedPasswords } from './passwords/compromised/compromised-passwords';
import { createPasswords } from './passwords/passwords';
import { createMailFlows } from './recovery/mail-flows';
import { createOneTimeTokens } from './recovery/one-time-tokens';
import { type DeliveryDependencies, openMailDelivery } from './recovery/open-delivery';
import { createKnownDevices } from './sessions/known-devices';
import { createSessionStore } from './sessions/session-store';
import { createSessions } from './sessions/sessions';
import { baseUrlOf, hashQueueSettings, hashSettings, tokenSettings } from './settings';
import { createBegunSignIns } from './sign-in/begun-sign-ins';
import { createCompleteSignIn, createOpenSignIn } from './sign-in/complete-sign-in';
import { createProvenSignIn } from './sign-in/proven-sign-in';
import { createPasswordDemand } from './sign-in/required-password';
import { createAuthService } from './sign-in/service';
import { createTokens } from './tokens/tokens';
import type { UsersPort } from './users-port';

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

export type AuthParts = ReturnType<typeof createParts>;

/** Passwords, sessions, mails and the services on them. */
export function createParts(deps: AuthDependencies) {
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
  const store = createSessionStore(connection, { timeoutMs, now });
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
  const passkeyParts = createPasskeyParts({ ...deps, clientDigest });
  const factors = createFactors({
    ...{ ...deps, ...account, loginGuard, openSignIn },
    others: [passkeyParts.kind],
  });
  const completeSignIn = createCompleteSignIn(openSignIn, { ...factors, mails });
  const mailedCodes = createMailedCodes(connection, { timeoutMs });
  const demandPassword = createPasswordDemand({ tokens: mailTokens, emit });
  const provenSignIn = createProvenSignIn({ users, completeSignIn, demandPassword });
  const countBegunByMail = createBegunSignIns({
    ...{ counters, now, clientDigest, key: 'mailed-codes', max: config.emailSignIn.begunMax },
    windowMs: (config.emailSignIn.ttlSeconds + KEPT_SECONDS) * 1000,
    detail: 'Too many sign-ins by mail have begun.',
  });
  const emailSignIn = createEmailSignIn({
    ...{ ...account, ...config.emailSignIn, loginGuard, delivery, provenSignIn },
    pending: mailedCodes,
    addressDigest: clientDigest,
    countBegun: countBegunByMail,
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
    ...{ store, mailTokens, mailedCodes, emailSignIn, delivery, dpop, now, clientDigest },
    provenSignIn,
    ...factors,
  };
}
