import { Problem, problems } from '../../kernel/errors';

/** Maps errors that libraries throw before a handler runs (raw-body, the router's decoding). */
function fromHttpError(error: { status?: unknown; type?: unknown }): Problem | undefined {
  switch (error.status) {
    case 400:
      return problems.malformed('malformed_request', 'The request could not be understood.');
    case 413:
      return new Problem(413, 'body_too_large', 'Content too large', {
        detail: 'The request body is larger than this service accepts.',
      });
    case 415:
      return new Problem(415, 'unsupported_encoding', 'Unsupported media type', {
        detail: 'The encoding of the body is not supported.',
      });
    default:
      return undefined;
  }
}

const DATABASE_ERRORS = new Set([
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoServerSelectionError',
  'MongooseServerSelectionError',
  'MongoWaitQueueTimeoutError',
  'MongoPoolClearedError',
  'PoolClearedOnNetworkError',
  'MongoPoolClosedError',
  'MongoOperationTimeoutError',
  'MongoNotConnectedError',
  'MongoTopologyClosedError',
  'MongoWriteConcernError',
  'MongoExpiredSessionError',
  'DatabaseTimeoutError',
]);

const BROKEN_CONNECTION = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/**
 * Transient server codes: interrupted, time limit exceeded, not primary, shutting down, no
 * majority.
 */
const TRANSIENT_CODES = new Set([50, 64, 89, 91, 189, 262, 10107, 11600, 11602, 13435, 13436]);

function isDatabaseUnavailable(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  // No `instanceof`: errors of Node's sockets may come from another realm, as in Jest.
  const { name, message, code } = error as Partial<Error> & { code?: unknown };
  if (DATABASE_ERRORS.has(name ?? '') || (typeof code === 'number' && TRANSIENT_CODES.has(code)))
    return true;
  // The driver passes on raw socket errors of a broken connection.
  if (typeof code === 'string' && BROKEN_CONNECTION.has(code)) return true;
  return (
    name === 'MongooseError' &&
    /initial connection|bufferCommands|not connected/i.test(message ?? '')
  );
}

/** Maps anything thrown to the problem that the client sees. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (isDatabaseUnavailable(error))
    return problems.unavailable(
      'database_unavailable',
      'The database cannot be reached at the moment.',
      1,
      error,
    );
  if (error instanceof URIError)
    return problems.malformed('malformed_path', 'The path has an invalid percent-encoding.');
  const known = typeof error === 'object' && error !== null ? fromHttpError(error) : undefined;
  return (
    known ??
    new Problem(500, 'internal_error', 'Internal server error', {
      detail: 'The service failed unexpectedly.',
      cause: error,
    })
  );
}
