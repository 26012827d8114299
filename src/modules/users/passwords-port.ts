import type { z } from 'zod';

/** `stored`: to keep as the `passwordHash`. The refusal's message is a predicate of the hash. */
type ImportedHash =
  | { readonly stored: string }
  | { readonly refusal: { readonly code: string; readonly message: string } };

/** The functions on passwords that users need; the module that authenticates has them. */
export interface PasswordsPort {
  /** The rule for new passwords. */
  readonly newPassword: z.ZodType<string>;
  /** Refines a body that opens an account: a password must not be its name or its address. */
  readonly refuseIdentity: (
    account: {
      readonly name: string;
      readonly email: string;
      readonly password?: string | undefined;
    },
    context: z.RefinementCtx,
  ) => void;
  /** The `passwordHash` of an account without a password. */
  readonly none: string;
  /**
   * Hashes a password to set. Throws Problem 503 `hash_queue_full`, and the errors of a lookup in
   * the list of leaked passwords.
   */
  hash(password: string): Promise<string>;
  /** The schema of a hash of another system. */
  readonly foreignHash: z.ZodType;
  /**
   * Takes over a hash of another system, in any of the forms of `foreignHash`. Weak digests cost a
   * bcrypt; a job that runs in a thread of its own uses `importHashSync` of the module that
   * authenticates.
   */
  importHash(foreign: unknown): Promise<ImportedHash>;
  /** A PHC string that `importHash` takes again. undefined: no password fits the stored hash. */
  exportHash(stored: string): string | undefined;
}
