import { Problem } from '../../../kernel/errors';
import { parseJsonText } from '../../../platform/http/json-text';
import { formatCsv } from './csv';
import type { RecordMember } from './record';

/** `id`: a text or `null`. `hash`: JSON, or a text that may begin with `{`. */
type Kind = 'text' | 'flag' | 'json' | 'hash' | 'id';

/** The columns of a CSV file, and the types of their fields. */
const KINDS = {
  name: 'text',
  email: 'text',
  email_verified: 'flag',
  password: 'text',
  password_hash: 'hash',
  role: 'text',
  status: 'text',
  external_id: 'id',
  user_metadata: 'json',
  app_metadata: 'json',
  private_metadata: 'json',
  created_at: 'text',
  ban: 'json',
  password_change_required: 'flag',
  id: 'text',
  updated_at: 'text',
  last_login_at: 'text',
} as const satisfies Record<RecordMember, Kind>;

const kindOf = (column: string): Kind => KINDS[column as RecordMember];
export const COLUMNS: readonly string[] = Object.keys(KINDS);

/** Known ones, each once: those of a header. */
export const areColumns = (value: unknown): value is readonly string[] =>
  Array.isArray(value) &&
  value.every((name, i) => COLUMNS.includes(name) && value.indexOf(name) === i);

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
  const kind = kindOf(column);
  if (kind === 'flag') return /^(true|false)$/.test(field) ? field === 'true' : field;
  if (kind === 'id') return isWrittenId(field) ? idOf(field) : field;
  const isJson = kind === 'json' || (kind === 'hash' && field.startsWith('{'));
  if (!isJson) return field;
  try {
    return parseJsonText(field);
  } catch (error) {
    // Refused for its form, as it would be in NDJSON. A hash may begin with `{`.
    if (kind === 'json' && error instanceof Problem && error.code !== 'malformed_json') throw error;
    return field;
  }
}

/** `null` is none; a text that could be taken for it, or for a quoted one, is quoted as JSON. */
const isWrittenId = (text: string): boolean => text === 'null' || text.startsWith('"');

function idOf(field: string): unknown {
  try {
    return parseJsonText(field);
  } catch {
    return field;
  }
}

function writeField(column: string, value: unknown): string {
  if (kindOf(column) === 'id' && (typeof value !== 'string' || isWrittenId(value)))
    return JSON.stringify(value);
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Plain passwords are not known. */
const WRITTEN = COLUMNS.filter((name) => name !== 'password');

export const csvHeader = (): string => `${formatCsv(WRITTEN)}\r\n`;

/** A user of an export, so that an import of it restores every member that an import can change. */
export const csvLine = (record: Readonly<Record<string, unknown>>): string =>
  `${formatCsv(WRITTEN.map((name) => writeField(name, record[name])))}\r\n`;
