import { DatabaseTimeoutError } from './bounded';
import { isBefore } from './expressions';

/**
 * An insert has no condition. As the `_id` of an upsert by pipeline, this fails in the database
 * once the time is over: it converts a text that is no number. Made of a field, the text is not
 * converted beforehand.
 */
export const ifBefore = (until: Date) => ({
  $cond: [isBefore(until), '$_id', { $toInt: { $concat: ['late ', '$_id'] } }],
});

/** ConversionFailure: the condition of `ifBefore`. */
const isLateInsert = (error: unknown) => (error as { code?: unknown }).code === 241;

/** The error to throw for one of an insert with that condition. */
export const errorOfInsert = (error: unknown): unknown =>
  isLateInsert(error) ? new DatabaseTimeoutError('an insert came too late') : error;
