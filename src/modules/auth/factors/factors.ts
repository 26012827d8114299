import type { Connection } from 'mongoose';
import type { Config } from '../../../kernel/config/config';
import type { Secrets } from '../../../kernel/crypto/encryption';
import type { Locks } from '../../../platform/mongo/locks';
import type { Logger } from '../../../platform/telemetry/logger';
import type { EmitEvent } from '../../domain-events';
import type { LoginGuard } from '../login-guard';
import type { Sessions } from '../sessions/sessions';
import { baseUrlOf } from '../settings';
import type { OpenSignIn } from '../sign-in/complete-sign-in';
import type { UsersPort } from '../users-port';
import { createFactorChanges, type FactorChanges } from './factor-changes';
import { createFactorGate, type FactorGate } from './factor-gate';
import type { FactorKind } from './factor-kinds';
import { createMfaTokens, type MfaTokens } from './mfa-tokens';
import { createOwnFactors, type OwnFactors } from './own-factors';
import { createRecoveryCodes } from './recovery-codes';
import { createTotp } from './totp';
import { createTotpStore } from './totp-store';
import { createVerifyFactor, type VerifyFactor } from './verify-factor';

/** Second factors, of every kind. */
export interface Factors {
  readonly kinds: readonly FactorKind[];
  readonly gate: FactorGate;
  readonly changes: FactorChanges;
  readonly mfaTokens: MfaTokens;
  readonly verifier: VerifyFactor;
  readonly factors: OwnFactors;
}

export interface FactorsDependencies {
  readonly config: Config;
  readonly connection: Connection;
  readonly log: Logger;
  readonly secrets: Secrets;
  readonly locks: Locks;
  readonly loginGuard: LoginGuard;
  readonly users: UsersPort;
  readonly sessions: Sessions;
  readonly openSignIn: OpenSignIn;
  readonly emit: EmitEvent;
  /** Kinds besides TOTP and recovery codes. */
  readonly others?: readonly FactorKind[];
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

export function createFactors(deps: FactorsDependencies): Factors {
  const { config, connection, loginGuard, emit } = deps;
  const { policy, tokenTtlSeconds: ttlSeconds, totpIssuer } = config.factors;
  const timeoutMs = config.database.operationTimeoutMs;
  const issuer = totpIssuer ?? new URL(baseUrlOf(config)).hostname;
  const timed = { timeoutMs, now: deps.now };
  const totp = createTotp({ ...deps, issuer, store: createTotpStore(connection, timed) });
  const recoveryCodes = createRecoveryCodes({ connection, ...timed, loginGuard, emit });
  const kinds = [...(deps.others ?? []), totp, recoveryCodes];
  const mfaTokens = createMfaTokens(connection, { timeoutMs, ttlSeconds });
  const common = { ...deps, kinds, recoveryCodes, mfaTokens, policy };
  const changes = createFactorChanges(common);
  const verifier = createVerifyFactor({ ...common, changes });
  return {
    ...{ kinds, changes, mfaTokens, verifier },
    gate: createFactorGate({ ...common, ttlSeconds }),
    factors: createOwnFactors({ ...common, totp, changes, verifier }),
  };
}
