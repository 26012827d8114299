import type { Request, RequestHandler, Response } from 'express';
import type { Span, Tracing } from '../telemetry/tracing';

/** The methods of the semantic conventions; others are one name, as clients choose them. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE']);

/**
 * The span of a request, by the semantic conventions of HTTP servers. Mounted only where tracing is
 * on. No query and no unknown path are recorded: they may hold addresses and secrets.
 */
export function traceRequests(
  tracing: Tracing,
  hasSecretPath: (pattern: string) => boolean,
): RequestHandler {
  const endSpan = spanEnd(hasSecretPath);
  return (req, res, next) => {
    const method = METHODS.has(req.method) ? req.method : '_OTHER';
    const span = tracing.serve(nameOf(method, undefined), req.headers, {
      'http.request.method': method,
      'url.scheme': req.protocol,
      ...serverOf(req.headers.host),
      'user_agent.original': req.headers['user-agent'] ?? '',
    });
    if (span === undefined) return next();
    req.context.span = span;
    req.context.traceId = span.traceId;
    if (span.isRecorded) res.on('close', endSpan);
    tracing.activate(span, next);
  };
}

const nameOf = (method: string, route: string | undefined) =>
  `${method === '_OTHER' ? 'HTTP' : method}${route === undefined ? '' : ` ${route}`}`;

/** One function for all responses. */
const spanEnd = (hasSecretPath: (pattern: string) => boolean) =>
  function endSpan(this: Response): void {
    const { req } = this;
    const { span, routePattern } = req.context;
    if (span === undefined) return;
    const isShown = routePattern !== undefined && !hasSecretPath(routePattern);
    recordAnswer(span, req, this, { routePattern, isShown });
    span.end();
  };

interface Matched {
  readonly routePattern: string | undefined;
  readonly isShown: boolean;
}

function recordAnswer(
  span: Span,
  req: Request,
  res: Response,
  { routePattern: route, isShown }: Matched,
): void {
  const status = res.statusCode;
  span.set({ 'http.response.status_code': status });
  if (route !== undefined) {
    span.rename(nameOf(METHODS.has(req.method) ? req.method : '_OTHER', route));
    span.set({ 'http.route': route, 'url.path': isShown ? pathOf(req, route) : route });
  }
  if (status >= 500) span.fail(String(status));
  else if (!res.writableFinished) span.set({ 'error.type': 'client_aborted' });
}

/**
 * The pattern stands for a path that was not checked: anything may be where an id belongs, such as
 * an address.
 */
function pathOf({ originalUrl, context }: Request, route: string): string {
  if (context.hasValidPath !== true) return route;
  const query = originalUrl.indexOf('?');
  return query === -1 ? originalUrl : originalUrl.slice(0, query);
}

/** The Host header, which the client chose. */
function serverOf(host = ''): { 'server.address': string; 'server.port'?: number } {
  const [, address = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(host) ?? [];
  return { 'server.address': address, ...(port && { 'server.port': Number(port) }) };
}
