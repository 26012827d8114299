import type { FieldError } from '../../../kernel/errors';
import type { WantedMetadata } from '../metadata/changes';
import type { Format } from './format';

/** A record that has passed every check that needs no database. */
export interface TakenRow {
  readonly line: number;
  readonly name?: string;
  readonly email?: string;
  readonly emailVerified?: boolean;
  /** As it is to be stored. */
  readonly passwordHash?: string;
  readonly role?: string;
  readonly status?: 'active' | 'banned';
  /** Both or neither; null: none. */
  readonly bannedUntil?: Date | null;
  readonly banReason?: string | null;
  /** null: not. */
  readonly mustChangePassword?: true | null;
  readonly metadata: WantedMetadata;
  readonly createdAt?: Date;
  /** The record as it was sent, as JSON on one line, for the report. */
  readonly json: string;
}

/** The fields of a row, except its metadata and its time of creation. */
export function membersOf(row: TakenRow) {
  const { line: _line, json: _json, metadata: _metadata, createdAt: _at, ...members } = row;
  return members;
}

/** Why a record was not taken. */
export interface RowFault {
  /** Stable snake_case code. */
  readonly code: string;
  readonly message: string;
  readonly errors?: readonly FieldError[];
}

/** A chunk of a file, for the thread that checks it. */
export interface PrepareTask {
  /** The packed chunk, as gzip. */
  readonly chunk: Uint8Array;
  readonly format: Format;
  /** The columns of a CSV file. */
  readonly columns: readonly string[];
  readonly match: 'email' | 'external_id';
  /** The beginning of the job, in ms since 1970 by the database's clock. */
  readonly beganMs: number;
}

export interface PreparedRows {
  readonly taken: readonly TakenRow[];
  /** Lines of the report. */
  readonly refused: readonly ReportLine[];
}

/** A record that cannot be read; of a CSV file with its columns, so that it can be put right. */
export interface SentText {
  readonly columns?: readonly string[];
  readonly text: string;
}

export interface ReportLine {
  readonly line: number;
  readonly text: string;
}

/**
 * One line of the report. With the record as it was sent, so that it can be put right and sent
 * again: an import reads such lines too.
 */
export function reportLine(
  line: number,
  { code, message, errors }: RowFault,
  sent: { readonly json: string } | SentText,
): ReportLine {
  const head = JSON.stringify({ line, code, message, ...(errors && { errors }) }).slice(0, -1);
  const rest = 'json' in sent ? `"record":${sent.json}}` : JSON.stringify(sent).slice(1);
  return { line, text: `${head},${rest}\n` };
}
