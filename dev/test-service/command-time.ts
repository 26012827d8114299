type Document = Readonly<Record<string, unknown>>;

const isDocument = (value: unknown): value is Document =>
  typeof value === 'object' &&
  value !== null &&
  [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);

/** Their values are aggregation expressions: there `$$NOW` is the time, and elsewhere a text. */
const EXPRESSIONS = new Set(['$expr', 'pipeline', 'projection', 'fields']);
/** Of an update they are: a document, or a pipeline, which is made of expressions. */
const UPDATES = new Set(['u', 'update']);

/**
 * A command of MongoDB as it would be sent `shiftMs` later: `$$NOW` and `$currentDate` are moved.
 * What a pipeline has as `$literal` stays, and so do documents that are inserted.
 */
export function shiftCommand(command: Document, shiftMs: number): Document {
  const now = { $add: ['$$NOW', shiftMs] };
  const shiftedDate = () => new Date(Date.now() + shiftMs);

  function shift(value: unknown, isExpression: boolean): unknown {
    if (isExpression && value === '$$NOW') return now;
    if (Array.isArray(value)) return value.map((one: unknown) => shift(one, isExpression));
    if (!isDocument(value)) return value;
    const { $currentDate, ...rest } = value;
    const shifted = Object.fromEntries(
      Object.entries(rest).map(([key, one]) => [key, shiftMember(key, one, isExpression)]),
    );
    if (!isDocument($currentDate)) return shifted;
    const dates = Object.keys($currentDate).map((field) => [field, shiftedDate()] as const);
    const set = isDocument(shifted['$set']) ? shifted['$set'] : {};
    return { ...shifted, $set: { ...set, ...Object.fromEntries(dates) } };
  }

  function shiftMember(key: string, value: unknown, isExpression: boolean): unknown {
    if (key === '$literal' || key === 'documents') return value;
    const isPipeline = UPDATES.has(key) && Array.isArray(value);
    return shift(value, isExpression || isPipeline || EXPRESSIONS.has(key));
  }
  return shift(command, false) as Document;
}

/** `aggregate: 1` reads no collection: it asks for the time itself (src/platform/mongo/clock.ts). */
export const asksForTime = (command: Document): boolean => command['aggregate'] === 1;
