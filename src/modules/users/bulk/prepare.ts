import { gunzipSync } from 'node:zlib';
import type { FieldError } from '../../../kernel/errors';
import { parseBody } from '../../../platform/http/validation';
import { unpackChunk } from './chunk';
import { faultOf, RowError, readRecord } from './read-record';
import { type ImportPasswords, type ImportRecord, recordSchema } from './record';
import {
  type PreparedRows,
  type PrepareTask,
  type ReportLine,
  reportLine,
  type SentText,
  type TakenRow,
} from './rows';
import type { SplitRecord } from './split';

const fieldFault = (errors: readonly FieldError[]) =>
  new RowError({
    code: 'validation_failed',
    message: 'One or more fields are not valid.',
    errors,
  });

/** The clocks of two systems differ. */
const LEEWAY_MS = 60_000;

/** Checks the records of chunks. It needs no I/O, and runs on a thread of its own. */
export function createPreparer(passwords: ImportPasswords): (task: PrepareTask) => PreparedRows {
  const schema = recordSchema(passwords);

  function passwordOf({
    password,
    password_hash: given,
  }: Pick<ImportRecord, 'password' | 'password_hash'>): string | undefined {
    if (password !== undefined) return passwords.hash(password);
    if (given === undefined) return undefined;
    const result = passwords.take(given);
    if ('stored' in result) return result.stored;
    const { message, code } = result.refusal;
    throw fieldFault([
      { pointer: '/password_hash', code: 'not_allowed', message, params: { reason: code } },
    ]);
  }

  /** A job that goes on later comes to the same result. */
  function pastTime(given: string, beganMs: number): Date {
    const time = new Date(given);
    if (time.getTime() <= beganMs + LEEWAY_MS) return time;
    const message = 'must not be in the future';
    throw fieldFault([{ pointer: '/created_at', code: 'too_big', message }]);
  }

  function take(record: unknown, { match, beganMs }: PrepareTask): Omit<TakenRow, 'line' | 'json'> {
    const read = parseBody(schema, record);
    if ((read[match] ?? undefined) === undefined)
      throw fieldFault([{ pointer: `/${match}`, code: 'required', message: 'is missing' }]);
    const { name, email, email_verified: emailVerified, role, status, ban, ...others } = read;
    const { password, password_hash, password_change_required: mustChange, ...more } = others;
    const { external_id, user_metadata, app_metadata, private_metadata, created_at, ...ids } = more;
    const { id: _id, updated_at: _at, last_login_at: _login, ...rest } = ids;
    // The compiler refuses a member that is read and not taken.
    rest satisfies Record<string, never>;
    return definedOf({
      ...{ name, email, role, status, emailVerified },
      passwordHash: passwordOf({ password, password_hash }),
      // null with a ban: neither an end nor a reason, whatever the user has of an earlier one.
      ...(status === 'banned' && ban !== undefined && banOf(ban ?? {})),
      mustChangePassword: mustChange === undefined ? undefined : mustChange || null,
      metadata: definedOf({ external_id, user_metadata, app_metadata, private_metadata }),
      createdAt: created_at === undefined ? undefined : pastTime(created_at, beganMs),
    });
  }

  return (task) => {
    const taken: TakenRow[] = [];
    const refused: ReportLine[] = [];
    for (const one of unpackChunk(gunzipSync(task.chunk))) {
      let sent: { json: string } | SentText = textOf(one, task);
      try {
        const { record, json } = readRecord(one, task);
        sent = { json };
        taken.push({ ...take(record, task), line: one.line, json });
      } catch (error) {
        const text = error instanceof RowError ? error.text : undefined;
        refused.push(reportLine(one.line, faultOf(error), text ?? sent));
      }
    }
    return { taken, refused };
  };
}

const textOf = ({ bytes }: SplitRecord, { format, columns }: PrepareTask): SentText => ({
  ...(format === 'csv' && { columns }),
  text: bytes.toString('utf8'),
});

const banOf = ({ until, reason }: Partial<NonNullable<ImportRecord['ban']>>) => ({
  bannedUntil: until === undefined ? null : new Date(until),
  banReason: reason ?? null,
});

/** Without the members that are undefined. */
const definedOf = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
