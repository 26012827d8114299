import cors from 'cors';
import type { Request, RequestHandler } from 'express';
import type { Config } from '../../kernel/config/config';
import { RESPONSE_HEADERS } from './response-headers';

const ALLOWED_HEADERS = [
  'Authorization',
  'Content-Type',
  'If-Match',
  'If-None-Match',
  'Idempotency-Key',
  'X-Request-Id',
  'traceparent',
  'tracestate',
  'baggage',
  'sentry-trace',
] as const;

/** Browsers expose or evaluate them anyway, and never show cookies to a page. */
const NOT_EXPOSED = ['Cache-Control', 'Access-Control-Allow-Origin', 'Set-Cookie'];
/**
 * All other documented headers, and that by which a page judges times of the service on a computer
 * whose clock is wrong.
 */
const EXPOSED_HEADERS = [
  ...Object.keys(RESPONSE_HEADERS).filter((name) => !NOT_EXPOSED.includes(name)),
  'Date',
];

/** Origins, by the access that CORS allows them. */
export interface CorsOrigins {
  /** Requests without cookies; `*` alone for all. */
  readonly plain: readonly string[];
  /** Requests with cookies, too. */
  readonly withCookies: readonly string[];
}

export const corsOriginsOf = ({ server, browser }: Pick<Config, 'server' | 'browser'>) => ({
  plain: server.corsOrigins,
  withCookies: browser.origins,
});

/**
 * CORS for browsers; pages may also send `requestHeaders`. Cookies are for own pages only; other
 * credentials are bearer tokens.
 */
export function corsFor(
  origins: CorsOrigins,
  requestHeaders: readonly string[] = [],
): RequestHandler {
  const preflight = preflightFor(origins, requestHeaders);
  return (req, res, next) => {
    if (req.method === 'OPTIONS') {
      preflight(req, res, next);
      return;
    }
    // The library would set each header on the response, which costs a fifth of a short one.
    req.context.pendingHeaders.push(...corsLines(origins, req.headers.origin));
    next();
  };
}

function preflightFor(
  { plain, withCookies }: CorsOrigins,
  requestHeaders: readonly string[],
): RequestHandler {
  const common = {
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: [...ALLOWED_HEADERS, ...requestHeaders],
    exposedHeaders: [...EXPOSED_HEADERS],
    maxAge: 600,
  };
  if (withCookies.length === 0)
    return cors({ ...common, origin: plain.includes('*') ? '*' : [...plain] });
  // Never `*`: the answer depends on the origin, and `Vary` must say so.
  const open = { ...common, origin: plain.includes('*') ? true : [...plain] };
  const own = { ...common, origin: [...withCookies], credentials: true };
  return cors<Request>((req, use) =>
    use(null, withCookies.includes(req.headers.origin ?? '') ? own : open),
  );
}

const EXPOSED = ['Access-Control-Expose-Headers', EXPOSED_HEADERS.join(',')] as const;

/** Of every response but those to preflight requests: header names and values, alternating. */
export function corsLines(
  { plain, withCookies }: CorsOrigins,
  origin: string | undefined,
): readonly string[] {
  if (plain.length === 0 && withCookies.length === 0) return [];
  const isOpen = plain.includes('*');
  if (isOpen && withCookies.length === 0) return ['Access-Control-Allow-Origin', '*', ...EXPOSED];
  const isOwn = origin !== undefined && withCookies.includes(origin);
  if (origin === undefined || !(isOwn || isOpen || plain.includes(origin)))
    return ['Vary', 'Origin'];
  const credentials = isOwn ? ['Access-Control-Allow-Credentials', 'true'] : [];
  return ['Access-Control-Allow-Origin', origin, 'Vary', 'Origin', ...credentials, ...EXPOSED];
}
