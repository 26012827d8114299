import {
  createPasswordCommands,
  type PasswordCommands,
  type PasswordCommandsDependencies,
} from '../passwords/change-password';
import { createOwnSessions, type OwnSessions } from '../sessions/own-sessions';
import { createSignIn, type SignIn, type SignInDependencies } from './sign-in';

/** Everything that users do to sign in, to stay signed in and to sign out. */
export interface AuthService extends SignIn, OwnSessions, PasswordCommands {}

export const createAuthService = (
  deps: SignInDependencies & PasswordCommandsDependencies,
): AuthService => ({
  ...createSignIn(deps),
  ...createOwnSessions(deps),
  ...createPasswordCommands(deps),
});
