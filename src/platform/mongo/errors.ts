/** MongoDB's DuplicateKey error (code 11000): nothing was written. */
export const isDuplicateKey = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 11000;

/** The outcome of a command is not known where its answer was lost, or came too late. */
const LOST_ANSWERS = new Set([
  'DatabaseTimeoutError',
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoOperationTimeoutError',
  'MongoWriteConcernError',
  'PoolClearedOnNetworkError',
  // Of a retry: the first attempt ended by a network error, which this one hides.
  'MongoServerSelectionError',
]);
const LOST_SOCKETS = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/** A write that ended with this may have been made. */
export function isInDoubt(error: unknown): boolean {
  const { name = '', code } = (error ?? {}) as Partial<Error> & { code?: unknown };
  return LOST_ANSWERS.has(name) || (typeof code === 'string' && LOST_SOCKETS.has(code));
}

/** The same, by the unique index of this name. */
export const isDuplicateOf = (error: unknown, index: string): boolean =>
  isDuplicateKey(error) && (error as Error).message.includes(` index: ${index} `);

/** BadValue, for a query whose `hint` names an index that the collection does not have. */
export const isHintRefused = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  error.code === 2 &&
  error.message.includes('hint provided does not correspond to an existing index');
