import { gunzipSync } from 'node:zlib';
import { type FieldError, Problem } from '../../../kernel/errors';
import { parseJsonText } from '../../../platform/http/json-text';
import { parseBody } from '../../../platform/http/validation';
import { unpackChunk } from './chunk';
import { parseCsv } from './csv';
import { RECORD_MAX_BYTES } from './format';
import { memberText } from './member-text';
import { type ImportPasswords, type ImportRecord, recordOfFields, recordSchema } from './record';
import {
  type PreparedRows,
  type PrepareTask,
  type ReportLine,
  type RowFault,
  reportLine,
  type TakenRow,
} from './rows';
import type { SplitRecord } from './split';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A record that was not taken. */
class RowError extends Error {
  override readonly name = 'RowError';
  readonly fault: RowFault;
  constructor(fault: RowFault) {
    super(fault.message);
    this.fault = fault;
  }
}

const fieldFault = (errors: readonly FieldError[]) =>
  new RowError({
    code: 'validation_failed',
    message: 'One or more fields are not valid.',
    errors,
  });

/** Checks the records of chunks. It needs no I/O, and runs on a thread of its own. */
export function createPreparer(passwords: ImportPasswords): (task: PrepareTask) => PreparedRows {
  const schema = recordSchema(passwords);

  function passwordOf({ password, password_hash: given }: ImportRecord): string | undefined {
    if (password !== undefined) return passwords.hash(password);
    if (given === undefined) return undefined;
    const result = passwords.take(given);
    if ('stored' in result) return result.stored;
    const { message, code } = result.refusal;
    throw fieldFault([
      { pointer: '/password_hash', code: 'not_allowed', message, params: { reason: code } },
    ]);
  }

  function take(record: unknown, { match }: PrepareTask): Omit<TakenRow, 'line' | 'json'> {
    const read = parseBody(schema, record);
    if ((read[match] ?? undefined) === undefined)
      throw fieldFault([{ pointer: `/${match}`, code: 'required', message: 'is missing' }]);
    const { name, email, role, status } = read;
    return definedOf({
      ...{ name, email, role, status },
      emailVerified: read.email_verified,
      passwordHash: passwordOf(read),
      ...(read.ban && banOf(read.ban)),
      mustChangePassword:
        read.password_change_required === undefined
          ? undefined
          : read.password_change_required || null,
      metadata: definedOf({
        // An export has null where there is none.
        external_id: read.external_id ?? undefined,
        user_metadata: read.user_metadata,
        app_metadata: read.app_metadata,
        private_metadata: read.private_metadata,
      }),
      createdAt: read.created_at === undefined ? undefined : new Date(read.created_at),
    });
  }

  return (task) => {
    const taken: TakenRow[] = [];
    const refused: ReportLine[] = [];
    for (const one of unpackChunk(gunzipSync(task.chunk))) {
      let sent: { json: string } | { text: string } = { text: one.bytes.toString('utf8') };
      try {
        const { record, json } = readRecord(one, task);
        sent = { json };
        taken.push({ ...take(record, task), line: one.line, json });
      } catch (error) {
        refused.push(reportLine(one.line, faultOf(error), sent));
      }
    }
    return { taken, refused };
  };
}

const banOf = ({ until, reason }: NonNullable<ImportRecord['ban']>) => ({
  bannedUntil: until === undefined ? null : new Date(until),
  banReason: reason ?? null,
});

/** `json`: the record as it was sent, on one line. What was parsed may differ from it (1e999). */
interface ReadRecord {
  readonly record: unknown;
  readonly json: string;
}

function readRecord(
  { bytes, isTooLong }: SplitRecord,
  { format, columns }: PrepareTask,
): ReadRecord {
  if (isTooLong)
    throw new RowError({
      code: 'line_too_long',
      message: `The record has more than ${RECORD_MAX_BYTES} bytes; its beginning is shown.`,
    });
  const text = textOf(bytes);
  if (format === 'ndjson') return unwrapped(parseJsonText(text), text);
  const fields = parseCsv(text);
  if (fields === undefined)
    throw new RowError({ code: 'malformed_csv', message: 'The quotes are not as RFC 4180 says.' });
  if (fields.length !== columns.length)
    throw new RowError({
      code: 'malformed_csv',
      message: `The record has ${fields.length} fields, the header has ${columns.length}.`,
    });
  return recordOfFields(columns, fields);
}

function textOf(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new RowError({ code: 'invalid_utf8', message: 'The record is not valid UTF-8.' });
  }
}

/** A line of a report stands for the record in it. */
function unwrapped(value: unknown, json: string): ReadRecord {
  if (typeof value !== 'object' || value === null) return { record: value, json };
  const { line, code, record } = value as Record<string, unknown>;
  return typeof line === 'number' && typeof code === 'string' && record !== undefined
    ? { record, json: memberText(json, 'record') ?? JSON.stringify(record) }
    : { record: value, json };
}

function faultOf(error: unknown): RowFault {
  if (error instanceof RowError) return error.fault;
  if (!(error instanceof Problem)) throw error;
  const { code, message, errors } = error;
  return {
    code,
    message: message.replace('The body', 'The record'),
    ...(errors && { errors }),
  };
}

/** Without the members that are undefined. */
const definedOf = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
