import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import { Problem, problems } from '../errors';
import type { Logger } from '../observability/logger';

export const PROBLEM_TYPE = 'application/problem+json';

/** RFC 9457 body. `type` is a URN, so that nobody takes it for a page that must exist. */
export function problemBody(problem: Problem, instance: string): Record<string, unknown> {
  return {
    type: `urn:problem:${problem.code}`,
    title: problem.title,
    status: problem.status,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    instance: `urn:request:${instance}`,
    code: problem.code,
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
  };
}

export function sendProblem(req: Request, res: Response, problem: Problem): void {
  res.statusCode = problem.status;
  for (const [name, value] of Object.entries(problem.headers)) res.setHeader(name, value);
  res.setHeader('Content-Type', PROBLEM_TYPE);
  res.setHeader('Cache-Control', 'no-store');
  res.end(req.method === 'HEAD' ? undefined : JSON.stringify(problemBody(problem, req.id)));
}

/** What libraries throw before a handler of ours runs (body-parser, the router's decoding), in our terms. */
function fromHttpError(error: { status?: unknown; type?: unknown }): Problem | undefined {
  switch (error.status) {
    case 400:
      return problems.malformed('malformed_request', 'The request could not be understood.');
    case 413:
      return new Problem(413, 'body_too_large', 'Content too large', { detail: 'The request body is larger than this service accepts.' });
    case 415:
      return new Problem(415, 'unsupported_encoding', 'Unsupported media type', { detail: 'The encoding of the body is not supported.' });
    default:
      return undefined;
  }
}

const DATABASE_AWAY = new Set([
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoServerSelectionError',
  'MongooseServerSelectionError',
  'MongoWaitQueueTimeoutError',
  'MongoPoolClearedError',
  'MongoPoolClosedError',
  'MongoOperationTimeoutError',
  'MongoNotConnectedError',
  'MongoTopologyClosedError',
  'MongoWriteConcernError',
  'MongoExpiredSessionError',
  'DatabaseTimeoutError',
]);

const BROKEN_CONNECTION = new Set(['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN']);

/** Server codes that say "not now": interrupted, exceeded time limit, not primary, shutting down, no majority. */
const PASSING_CODES = new Set([50, 64, 89, 91, 189, 262, 10107, 11600, 11602, 13435, 13436]);

export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code: unknown = 'code' in error ? error.code : undefined;
  if (DATABASE_AWAY.has(error.name) || (typeof code === 'number' && PASSING_CODES.has(code))) return true;
  // The driver passes on what writing to a dying connection throws, bare.
  if (typeof code === 'string' && BROKEN_CONNECTION.has(code)) return true;
  return error.name === 'MongooseError' && /initial connection|bufferCommands|not connected/i.test(error.message);
}

/** Whatever was thrown, as the one answer that the client may see. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (isDatabaseAway(error)) return problems.unavailable('database_unavailable', 'The database cannot be reached at the moment.', 1, error);
  if (error instanceof URIError) return problems.malformed('malformed_path', 'The path holds an invalid percent-encoding.');
  const known = typeof error === 'object' && error !== null ? fromHttpError(error) : undefined;
  return (
    known ?? new Problem(500, 'internal_error', 'Internal server error', { detail: 'Something went wrong on our side.', cause: error })
  );
}

/** The last middleware: exactly one line in the log for what nobody expected, and nothing of it in the answer. */
export function problemHandler(log: Logger): ErrorRequestHandler {
  return (error, req, res, _next) => {
    const problem = toProblem(error);
    if (problem.status >= 500) {
      const level = problem.status === 503 ? 'warn' : 'error';
      log[level]({ err: problem.cause ?? error, request_id: req.id, code: problem.code }, 'request failed');
    }
    if (res.headersSent) {
      req.socket.destroy();
      return;
    }
    sendProblem(req, res, problem);
  };
}

export function notFoundHandler(): RequestHandler {
  return (_req, _res, next) => next(problems.notFound('There is no such resource.', 'route_not_found'));
}
