import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import { type Problem, problems } from '../../kernel/errors';
import type { Logger } from '../telemetry/logger';
import type { RequestContext } from './context';
import { toProblem } from './to-problem';

export const PROBLEM_TYPE = 'application/problem+json';

/** RFC 9457 body. `type` is a URN, so that nobody expects a page there. */
export function problemBody(problem: Problem, instance: string): Record<string, unknown> {
  return {
    type: `urn:problem:${problem.code}`,
    title: problem.title,
    status: problem.status,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    instance: `urn:request:${instance}`,
    code: problem.code,
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
    ...problem.extensions,
  };
}

function sendProblem(req: Request, res: Response, problem: Problem): void {
  res.statusCode = problem.status;
  for (const [name, value] of Object.entries(problem.headers)) res.setHeader(name, value);
  res.setHeader('Content-Type', PROBLEM_TYPE);
  res.setHeader('Cache-Control', 'no-store');
  res.end(
    req.method === 'HEAD'
      ? undefined
      : JSON.stringify(problemBody(problem, instanceOf(req.context))),
  );
}

/** Where tracing is on, with the trace as the q-component of the URN (RFC 8141 §2.3.2). */
const instanceOf = ({ id, span }: RequestContext): string =>
  span === undefined ? id : `${id}?=trace_id=${span.traceId}`;

/**
 * The last middleware. An unexpected error gets exactly one log line, and the response contains
 * nothing of it.
 */
export function problemHandler(log: Logger): ErrorRequestHandler {
  return (error, req, res, _next) => {
    const problem = toProblem(error);
    if (problem.status >= 500) {
      const level = problem.status === 503 ? 'warn' : 'error';
      log[level](
        {
          err: problem.cause ?? error,
          request_id: req.context.correlationId,
          instance: req.context.id,
          code: problem.code,
        },
        'request failed',
      );
    }
    if (res.headersSent) {
      req.socket.destroy();
      return;
    }
    sendProblem(req, res, problem);
  };
}

export function notFoundHandler(): RequestHandler {
  return (_req, _res, next) =>
    next(problems.notFound('There is no such resource.', 'route_not_found'));
}
