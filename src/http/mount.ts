import type { Express, Request, RequestHandler } from 'express';
import { Problem, problems } from '../errors';
import { type Endpoint, type Input, principalOf, type Route } from './endpoint';
import type { Idempotency } from './idempotency';
import { FORM, formBody, jsonBody } from './json-body';
import { type CompressOptions, createSender } from './send-reply';
import { MAX_FIELD_ERRORS, parseBody, parseParameters, pathParser } from './validation';

export interface MountOptions extends CompressOptions {
  readonly authenticate: RequestHandler;
  readonly bodyLimitBytes: number;
  readonly idempotency: Idempotency;
}

/** Puts the routes into Express: pattern → 406 → authentication → role → limits → body → validation → handler. */
export function mountRoutes(app: Express, routes: readonly Route[], options: MountOptions): void {
  // One layer for each path, whatever its methods: the router tries its layers one after the other.
  const sendReply = createSender(options);
  for (const [path, group] of groupByPath(routes)) {
    const here = app.route(path);
    for (const one of group) here[one.endpoint.method](...chainOf(one, options, sendReply));
    here.all(otherMethods(path, allowOf(group)));
  }
}

function groupByPath(routes: readonly Route[]): Map<string, Route[]> {
  const groups = new Map<string, Route[]>();
  for (const one of routes) groups.set(one.endpoint.path, [...(groups.get(one.endpoint.path) ?? []), one]);
  return groups;
}

function allowOf(group: readonly Route[]): string {
  const methods = group.flatMap(({ endpoint: { method } }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));
  return [...methods, 'OPTIONS'].join(', ');
}

function chainOf({ endpoint, before, handle }: Route, options: MountOptions, sendReply: ReturnType<typeof createSender>): RequestHandler[] {
  const { authenticate, bodyLimitBytes, idempotency } = options;
  const repeatable = endpoint.method === 'post' && endpoint.idempotencyKey !== false;
  const parsePath = endpoint.params === undefined ? () => undefined : pathParser(endpoint.params);
  return [
    matched(endpoint),
    acceptable,
    ...(endpoint.access === 'public' ? [] : [authenticate]),
    ...(endpoint.access === 'admin' ? [adminOnly] : []),
    ...before,
    ...(endpoint.body === undefined ? [] : bodyReader(endpoint, bodyLimitBytes)),
    (req, res, next) => {
      const input = inputOf(endpoint, req, parsePath);
      const key = repeatable ? req.headers['idempotency-key'] : undefined;
      const reply = key === undefined ? handle(input, req, res) : idempotency.run(req, String(key), () => handle(input, req, res));
      // What is at hand is sent in the same turn: no promise on the way of a read from the near copies.
      if (reply instanceof Promise) reply.then((late) => sendReply(req, res, late)).catch(next);
      else sendReply(req, res, reply);
    },
  ];
}

const matched =
  ({ path, scope }: Endpoint): RequestHandler =>
  (req, _res, next) => {
    req.routePattern = path;
    if (scope !== undefined) req.requiredScope = scope;
    next();
  };

const bodyReader = ({ consumes }: Endpoint, limitBytes: number): RequestHandler[] =>
  consumes?.includes(FORM) === true ? formBody(limitBytes) : jsonBody(limitBytes, consumes);

const acceptable: RequestHandler = (req, _res, next) => {
  const accept = req.headers.accept;
  if (accept === undefined || accept.includes('*/*') || accept.includes('application/json') || req.accepts('application/json') !== false)
    return next();
  next(new Problem(406, 'not_acceptable', 'Not acceptable', { detail: 'This service answers in application/json.' }));
};

const adminOnly: RequestHandler = (req, _res, next) => {
  if (principalOf(req).role === 'admin') return next();
  next(problems.forbidden('Only an administrator may do this.'));
};

const NO_QUERY: Readonly<Record<string, never>> = {};

function inputOf(endpoint: Endpoint, req: Request, parsePath: (params: Request['params']) => unknown): Input<unknown, unknown, unknown> {
  // Express parses the query anew at each look.
  const query: Record<string, unknown> = req.url.includes('?') ? req.query : NO_QUERY;
  if (endpoint.query === undefined && query !== NO_QUERY && Object.keys(query).length > 0) {
    const errors = Object.keys(query)
      .slice(0, MAX_FIELD_ERRORS)
      .map((pointer) => ({ pointer, code: 'unknown_parameter', message: 'is not a known parameter' }));
    throw problems.malformed('invalid_query', 'A query parameter is not valid.', { errors });
  }
  return {
    params: parsePath(req.params),
    query: endpoint.query === undefined ? NO_QUERY : parseParameters(endpoint.query, { ...query }, 'query'),
    body: endpoint.body === undefined ? undefined : parseBody(endpoint.body, req.body),
  };
}

function otherMethods(path: string, allow: string): RequestHandler {
  return (req, res) => {
    req.routePattern = path;
    res.setHeader('Allow', allow);
    if (req.method === 'OPTIONS') {
      res.status(204).end();
      return;
    }
    throw new Problem(405, 'method_not_allowed', 'Method not allowed', { detail: `This resource allows ${allow}.` });
  };
}
