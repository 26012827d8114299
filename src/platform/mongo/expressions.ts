/** Aggregation expressions of several stores. `$$NOW` is the database's time, in ms precision. */

/** A time `ms` from now. */
export const afterNow = (ms: number) => ({ $add: ['$$NOW', ms] });

/** Whether a time is still to come. */
export const isBefore = (until: Date) => ({ $lt: ['$$NOW', until] });

/** A filter: nothing past this time; undefined: no such bound. */
export const noLaterThan = (until: Date | undefined) =>
  until === undefined ? {} : { $expr: isBefore(until) };

/** A filter: the documents whose `until` is still to come. */
export const unexpired = { $expr: { $gt: ['$until', '$$NOW'] } } as const;

/** A filter: the documents whose `dueAt` has come. */
export const dueFilter = { $expr: { $lte: ['$dueAt', '$$NOW'] } } as const;

/** The fields as they are: in a pipeline a string that begins with `$` names a field. */
export const asLiterals = (fields: object) =>
  Object.fromEntries(Object.entries(fields).map(([name, $literal]) => [name, { $literal }]));
