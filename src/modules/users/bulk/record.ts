import { z } from 'zod';
import { displayLine, displayName, emailAddress, timestamp } from '../../../platform/http/fields';
import { BAN_REASON_MAX } from '../bans';
import { wholeMetadata } from '../metadata/contract';
import type { PasswordsPort } from '../passwords-port';
import type { PrivateView, UserView } from '../view';

/** The functions on passwords that an import needs, on the thread that checks its records. */
export interface ImportPasswords extends Pick<PasswordsPort, 'newPassword' | 'refuseIdentity'> {
  /** Blocks the thread. */
  hash(password: string): string;
  /** The stored form of a hash that another system made. May block the thread. */
  take(
    hash: unknown,
  ): { readonly stored: string } | { readonly refusal: { code: string; message: string } };
}

/**
 * Of an exported user and of a record: a new member of the user has to be named wherever these are.
 */
export type RecordMember = keyof UserView | keyof PrivateView | 'password' | 'password_hash';

/** An export has null where there is nothing. */
const orNull = <T extends z.ZodType>(schema: T) =>
  z
    .union([z.null(), schema])
    .optional()
    .transform((value) => value ?? undefined);

/** An older one is a mistake: `0001-01-01` is how some systems write that there is none. */
const since1970 = timestamp().refine((text) => Date.parse(text) >= 0, {
  error: 'must not be before 1970',
  params: { code: 'too_small' },
});
/** One user of an import file. */
export const recordSchema = ({ newPassword, refuseIdentity }: ImportPasswords) =>
  z
    .strictObject({
      name: displayName.optional(),
      email: emailAddress.optional(),
      email_verified: z.boolean().optional(),
      password: newPassword.optional(),
      password_hash: orNull(z.union([z.string(), z.record(z.string(), z.unknown())])),
      role: z.string().max(32).optional(),
      status: z.enum(['active', 'banned']).optional(),
      ban: z
        .strictObject({ until: orNull(since1970), reason: orNull(displayLine(BAN_REASON_MAX)) })
        .nullable()
        .optional(),
      password_change_required: z.boolean().optional(),
      ...wholeMetadata,
      created_at: since1970.optional(),
      // Only the service decides these: accepted as exported, and ignored.
      id: z.unknown().optional(),
      updated_at: z.unknown().optional(),
      last_login_at: z.unknown().optional(),
    } satisfies Record<RecordMember, z.ZodType>)
    .superRefine(({ status, ban }, context) => {
      const message = 'must be given for a banned user only';
      if ((ban ?? undefined) !== undefined && status !== 'banned')
        context.addIssue({
          code: 'custom',
          path: ['ban'],
          message,
          params: { code: 'not_allowed' },
        });
    })
    .superRefine(({ name = '', email = '', password, password_hash }, context) => {
      if (password === undefined) return;
      refuseIdentity({ name, email, password }, context);
      if (password_hash !== undefined)
        context.addIssue({
          code: 'custom',
          path: ['password'],
          message: 'must not be given together with password_hash',
        });
    });

export type ImportRecord = z.output<ReturnType<typeof recordSchema>>;
