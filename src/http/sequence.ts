import type { RequestHandler } from 'express';

/**
 * Several synchronous middlewares as one layer of the router, in order, with Express's own rules for `next`. Each layer that every
 * request passes costs it 0.3 µs of matching a path that always matches.
 */
export function inSequence(...handlers: readonly RequestHandler[]): RequestHandler {
  return handlers.reduceRight<RequestHandler>(
    (rest, handler) => (req, res, next) =>
      handler(req, res, (error?: unknown) => {
        // `'route'` and `'router'` are the router's to understand, as errors are.
        if (error === undefined || error === null) rest(req, res, next);
        else next(error);
      }),
    (_req, _res, next) => next(),
  );
}
