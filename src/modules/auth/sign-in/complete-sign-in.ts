import type { EmitEvent } from '../../domain-events';
import type { FactorDemand, FactorGate } from '../factors/factor-gate';
import type { MailFlows } from '../recovery/mail-flows';
import type { Amr } from '../sessions/authentication';
import type { KnownDevices } from '../sessions/known-devices';
import type { Sessions } from '../sessions/sessions';
import type { DeliveredPair } from '../sessions/token-pair';
import type { Account } from '../users-port';
import type { SignInStep } from './sign-in-step';

export interface SignedIn {
  readonly kind: 'signed_in';
  readonly user: Account;
  readonly tokens: DeliveredPair;
}

export type SignInResult = SignedIn | ({ readonly kind: 'mfa_required' } & FactorDemand);

/**
 * The end of every way to sign in. Opens a session, or asks for a further factor. `account` has the
 * session version of when the step was proven: a session of an older one is ended already.
 */
export type CompleteSignIn = (account: Account, step: SignInStep) => Promise<SignInResult>;

/**
 * Opens the session: no factor is asked any longer. `isTold`: the owner knows of the new device.
 */
export type OpenSignIn = (
  account: Account,
  step: SignInStep & { firstAmr?: Amr; isTold?: boolean },
) => Promise<SignedIn>;

export interface CompleteSignInDependencies {
  readonly sessions: Pick<Sessions, 'open'>;
  readonly devices: Pick<KnownDevices, 'remember'>;
  readonly mails: Pick<MailFlows, 'newDevice'>;
  readonly gate: FactorGate;
  readonly emit: EmitEvent;
}

export function createOpenSignIn(deps: Omit<CompleteSignInDependencies, 'gate'>): OpenSignIn {
  const { sessions, devices, mails, emit } = deps;
  return async (user, { amr, firstAmr, client, knownUntil, isNew, isTold }) => {
    // A login must not fail because its device could not be remembered.
    const remembering = devices.remember(user, client, knownUntil).catch(() => undefined);
    const opening = sessions.open(user, client, { amr, firstAmr });
    const [tokens] = await Promise.all([opening, remembering]);
    if (isNew !== true) {
      emit('LoginSucceeded', { userId: user.id, client });
      if (knownUntil === undefined && isTold !== true) mails.newDevice(user.id, client);
    }
    return { kind: 'signed_in', user, tokens };
  };
}

export function createCompleteSignIn(
  open: OpenSignIn,
  { gate, mails }: Pick<CompleteSignInDependencies, 'gate' | 'mails'>,
): CompleteSignIn {
  return async (account, step) => {
    const demand = await gate.demandOf(account, step);
    if (demand === undefined) return open(account, step);
    // Now: the password without the factor comes no further.
    const { knownUntil, isNew, client } = step;
    if (knownUntil === undefined && isNew !== true) mails.newDevice(account.id, client);
    return { kind: 'mfa_required', ...demand };
  };
}
