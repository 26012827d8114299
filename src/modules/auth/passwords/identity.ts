import type { z } from 'zod';

/**
 * An attacker tries the names of an account first (NIST SP 800-63B-4 §3.1.1.2: "derivatives" of
 * the username).
 */
export function isKnownBy(
  password: string,
  { name, email }: { readonly name: string; readonly email: string },
): boolean {
  const fold = (text: string) => text.normalize('NFKC').trim().toLowerCase();
  return [name, email, email.slice(0, email.indexOf('@'))].map(fold).includes(fold(password));
}

export const PASSWORD_IS_IDENTITY = {
  code: 'password_is_identity',
  message: 'must not be the name or the e-mail address of the account',
} as const;

/** Refines a body that opens an account. */
export function refuseKnownPassword(
  account: {
    readonly name: string;
    readonly email: string;
    readonly password?: string | undefined;
  },
  context: z.RefinementCtx,
): void {
  const { password } = account;
  if (password === undefined || !isKnownBy(password, account)) return;
  const { code, message } = PASSWORD_IS_IDENTITY;
  context.addIssue({ code: 'custom', path: ['password'], message, params: { code } });
}
