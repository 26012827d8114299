import { readStored } from './formats/registry';

/**
 * The stored hash of an account without a password, which was invited. No password fits it, neither
 * here nor on a host of an earlier version, which requires that a hash is stored.
 */
export const NO_PASSWORD = '!no-password';

/** Whether some password fits this stored hash. */
export const hasPassword = (passwordHash: string): boolean =>
  readStored(passwordHash) !== undefined;
