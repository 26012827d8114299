import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Express } from 'express';

type Handle = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => void;

/** No route has it, so it ends as every other unknown path does. */
const UNROUTABLE = '/.invalid';

/**
 * A target in absolute form (RFC 9112 §3.2.2) that is no URL, such as `http://[::1`, reaches no layer of Express: it would
 * be answered with Express's own bare 404, without request id, log line or problem.
 */
export function answerEveryTarget(app: Express): void {
  const handling = app as unknown as { handle: Handle };
  const { handle } = handling;
  handling.handle = (request, response, next) => {
    if (!isRoutable(request.url ?? '')) request.url = UNROUTABLE;
    handle.call(app, request, response, next);
  };
}

function isRoutable(target: string): boolean {
  return target.startsWith('/') || target === '*' || URL.canParse(target);
}
