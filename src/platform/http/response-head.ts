import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { Express as App, Response } from 'express';
import type { RequestContext } from './context';
import type { End } from './end-batch';

/** Header names and values, alternating, as in `writeHead`. */
export type FlatHeaders = readonly string[];

/** Throws on a name or value that HTTP does not allow, before any part of the response is sent. */
export function flatHeaders(headers: Readonly<Record<string, string>>): string[] {
  const flat: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    flat.push(name, value);
  }
  return flat;
}

/**
 * The headers of every response are collected in `req.context.pendingHeaders` and sent as one flat
 * list: `setHeader` for each costs about a tenth of a short response (docs/adr/0017). Responses
 * that are sent in another way contain them too: `writeHead`, which Node itself calls before the
 * first byte, adds the pending headers. A header that was set on the response wins over a pending
 * one of the same name, except that RateLimit, RateLimit-Policy and Vary are lists and contain
 * both.
 */
export function installPendingHeaders(app: App): void {
  const { writeHead } = app.response;
  function writeHeadWithPending(
    this: Response,
    ...args: Parameters<Response['writeHead']>
  ): Response {
    setPending(this);
    return writeHead.apply(this, args) as Response;
  }
  Object.defineProperty(app.response, 'writeHead', {
    value: writeHeadWithPending,
    writable: true,
    configurable: true,
  });
}

/**
 * Sends a complete response; `end` decides when it is written. The body is one character for each
 * byte: Node sends such a text in one piece with the head, and a Buffer as a second piece.
 */
export function endWith(
  res: Response,
  status: number,
  headers: FlatHeaders,
  body: string | undefined,
  end: End,
): void {
  if (res.headersSent || res.getHeaderNames().length > 0) {
    setHeaders(res, headers);
    res.writeHead(status);
  } else {
    res.writeHead(status, takePending(res).concat(headers));
  }
  end(res, res.req.method === 'HEAD' ? undefined : body);
}

/** For responses that other middleware may still change. */
export function setHeaders(res: Response, headers: FlatHeaders): void {
  for (const [name, value] of pairs(headers)) res.setHeader(name, value);
}

const LISTS = new Set(['RateLimit', 'RateLimit-Policy', 'Vary']);

function setPending(res: Response): void {
  for (const [name, value] of pairs(takePending(res))) {
    const present = res.getHeader(name);
    if (present === undefined) res.setHeader(name, value);
    else if (LISTS.has(name)) res.setHeader(name, [value].concat(present as string | string[]));
  }
}

const NONE: FlatHeaders = [];

function takePending({ req }: Response): FlatHeaders {
  // A request that fails before `requestContext` has no context.
  const { context } = req as { context?: RequestContext };
  if (context === undefined) return NONE;
  const { pendingHeaders } = context;
  context.pendingHeaders = [];
  return pendingHeaders;
}

function* pairs(headers: FlatHeaders): Generator<readonly [name: string, value: string]> {
  for (let i = 0; i + 1 < headers.length; i += 2) yield [headers[i] ?? '', headers[i + 1] ?? ''];
}
