import { z } from 'zod';
import { Problem } from '../../../kernel/errors';
import { displayLine, displayName, emailAddress, timestamp } from '../../../platform/http/fields';
import { parseJsonText } from '../../../platform/http/json-text';
import { BAN_REASON_MAX } from '../bans';
import { wholeMetadata } from '../metadata/contract';

/** What an import needs of passwords, on the thread that checks its records. */
export interface ImportPasswords {
  readonly newPassword: z.ZodType<string>;
  readonly refuseIdentity: (
    account: {
      readonly name: string;
      readonly email: string;
      readonly password?: string | undefined;
    },
    context: z.RefinementCtx,
  ) => void;
  /** Blocks the thread. */
  hash(password: string): string;
  /** What to store of a hash that another system made. May block the thread. */
  take(
    hash: unknown,
  ): { readonly stored: string } | { readonly refusal: { code: string; message: string } };
}

/** Members of an exported user that only the service decides: accepted, and ignored. */
const IGNORED = ['id', 'updated_at', 'last_login_at'] as const;

/** An export has null where there is nothing. */
const orNull = <T extends z.ZodType>(schema: T) =>
  z
    .union([z.null(), schema])
    .optional()
    .transform((value) => value ?? undefined);

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
      ban: orNull(
        z.strictObject({ until: orNull(timestamp()), reason: orNull(displayLine(BAN_REASON_MAX)) }),
      ),
      password_change_required: z.boolean().optional(),
      ...wholeMetadata,
      created_at: timestamp().optional(),
      id: z.unknown().optional(),
      updated_at: z.unknown().optional(),
      last_login_at: z.unknown().optional(),
    })
    .superRefine(({ status, ban }, context) => {
      const message = 'must be given for a banned user only';
      if (ban !== undefined && status !== 'banned')
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

/** Columns of a CSV file. */
export const COLUMNS = [
  ...['name', 'email', 'email_verified', 'password', 'password_hash', 'role', 'status'],
  ...['external_id', 'user_metadata', 'app_metadata', 'private_metadata', 'created_at'],
  ...['ban', 'password_change_required'],
  ...IGNORED,
] as readonly string[];

const JSON_COLUMNS = new Set(['user_metadata', 'app_metadata', 'private_metadata', 'ban']);
const FLAG_COLUMNS = new Set(['email_verified', 'password_change_required']);

/**
 * A record of a CSV file as an NDJSON file would have it, parsed and as text: an empty field is
 * none. A field that cannot be read stays a text, which the schema refuses.
 */
export function recordOfFields(
  columns: readonly string[],
  fields: readonly string[],
): { readonly record: Record<string, unknown>; readonly json: string } {
  const record: Record<string, unknown> = {};
  const members: string[] = [];
  columns.forEach((column, i) => {
    const field = fields[i] ?? '';
    if (field === '') return;
    const value = readField(column, field);
    record[column] = value;
    // The own text of JSON, in which line ends are blanks.
    const text = typeof value === 'string' ? JSON.stringify(value) : field.replace(/[\r\n]/g, ' ');
    members.push(`${JSON.stringify(column)}:${text}`);
  });
  return { record, json: `{${members.join()}}` };
}

function readField(column: string, field: string): unknown {
  if (FLAG_COLUMNS.has(column) && /^(true|false)$/.test(field)) return field === 'true';
  const isJson = JSON_COLUMNS.has(column) || (column === 'password_hash' && field.startsWith('{'));
  if (!isJson) return field;
  try {
    return parseJsonText(field);
  } catch (error) {
    // Refused for its form, as it would be in NDJSON. A hash may begin with `{`.
    if (JSON_COLUMNS.has(column) && error instanceof Problem && error.code !== 'malformed_json')
      throw error;
    return field;
  }
}
