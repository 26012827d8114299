import type { Problem } from '../../../kernel/errors';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { Credentials, UsersPort } from '../users-port';
import type { CompleteSignIn, SignInResult } from './complete-sign-in';
import type { SignInStep } from './sign-in-step';

/**
 * Goes on with the account of a first step, whichever way it was proven. Throws 403
 * `password_change_required` where the password must be replaced first, and what `gone` gives where
 * the account was removed meanwhile.
 */
export type ProvenSignIn = (
  found: Credentials,
  step: SignInStep,
  gone: () => Problem,
) => Promise<SignInResult>;

export interface ProvenSignInDependencies {
  readonly users: Pick<UsersPort, 'get'>;
  readonly completeSignIn: CompleteSignIn;
  /** The answer for an account that must replace its password. */
  readonly demandPassword: (found: Credentials, client: ClientInfo) => Promise<Problem>;
}

export function createProvenSignIn(deps: ProvenSignInDependencies): ProvenSignIn {
  const { users, completeSignIn, demandPassword } = deps;
  return async (found, step, gone) => {
    if (found.mustChangePassword) throw await demandPassword(found, step.client);
    const account = await users.get(found.id);
    if (account === null) throw gone();
    // The version at the time of the proof: an end of sessions since then ends this one, too.
    const { role, sessionVersion } = found;
    return completeSignIn({ ...account, role, sessionVersion }, step);
  };
}
