type Document = Readonly<Record<string, unknown>>;

const isDocument = (value: unknown): value is Document =>
  typeof value === 'object' &&
  value !== null &&
  [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);

/** Their values are aggregation expressions: there `$$NOW` is the time, and elsewhere a text. */
const EXPRESSIONS = new Set(['$expr', 'projection']);
/** Their values are stored as they are. */
const STORED = new Set(['$literal', 'document', 'replacement']);

/**
 * The arguments of a method of the driver's collection as they would be `shiftMs` later: `$$NOW`
 * and `$currentDate` are moved. What a pipeline has as `$literal` stays, and so do documents that
 * are inserted.
 */
export function shiftArguments(method: string, args: unknown[], shiftMs: number): unknown[] {
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
    if (STORED.has(key)) return value;
    return shift(value, isExpression || EXPRESSIONS.has(key) || isPipeline(key, value));
  }

  const [first, ...others] = args;
  if (method === 'insertOne') return args;
  return [
    shift(first, method === 'aggregate'),
    // An update is a document, or a pipeline.
    ...others.map((one) => shift(one, Array.isArray(one))),
  ];
}

/** In `bulkWrite`. */
const isPipeline = (key: string, value: unknown) => key === 'update' && Array.isArray(value);
