import { Problem } from '../../../kernel/errors';
import { parseJsonText } from '../../../platform/http/json-text';
import { parseCsv } from './csv';
import { areColumns, recordOfFields } from './csv-record';
import { RECORD_MAX_BYTES } from './format';
import { memberText } from './member-text';
import type { PrepareTask, RowFault, SentText } from './rows';
import type { SplitRecord } from './split';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A record that was not taken. */
export class RowError extends Error {
  override readonly name = 'RowError';
  readonly fault: RowFault;
  /** The record as it was sent, where that is not the whole line. */
  readonly text: SentText | undefined;
  constructor(fault: RowFault, text?: SentText) {
    super(fault.message);
    this.fault = fault;
    this.text = text;
  }
}

/** `json`: the record as it was sent, on one line. The parsed value may differ from it (1e999). */
interface ReadRecord {
  readonly record: unknown;
  readonly json: string;
}

export function readRecord(
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
  return recordOfCsv(text, columns);
}

function recordOfCsv(text: string, columns: readonly string[]): ReadRecord {
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

/** A line of a report stands for the record in it, or for the text that was to be one. */
function unwrapped(value: unknown, json: string): ReadRecord {
  if (typeof value !== 'object' || value === null) return { record: value, json };
  const { line, code, record, text, columns } = value as Record<string, unknown>;
  if (typeof line !== 'number' || typeof code !== 'string') return { record: value, json };
  if (record !== undefined)
    return { record, json: memberText(json, 'record') ?? JSON.stringify(record) };
  if (typeof text !== 'string') return { record: value, json };
  if (columns === undefined) return recordOfText({ text }, code);
  return areColumns(columns) ? recordOfText({ columns, text }, code) : { record: value, json };
}

/** The text of a line that could not be read, put right. */
function recordOfText(sent: SentText, code: string): ReadRecord {
  const { columns, text } = sent;
  // The signs in the place of the bytes would become part of a name.
  if (code === 'invalid_utf8' && text.includes('\ufffd')) {
    const message = 'The text has U+FFFD where the record was not valid UTF-8.';
    throw new RowError({ code, message }, sent);
  }
  try {
    if (columns !== undefined) return recordOfCsv(text, columns);
    // Outside of its strings, line ends are blanks.
    return { record: parseJsonText(text), json: text.replace(/[\r\n]/g, ' ') };
  } catch (error) {
    throw new RowError(faultOf(error), sent);
  }
}

export function faultOf(error: unknown): RowFault {
  if (error instanceof RowError) return error.fault;
  if (!(error instanceof Problem)) throw error;
  const { code, message, errors } = error;
  return {
    code,
    message: message.replace('The body', 'The record'),
    ...(errors && { errors }),
  };
}
