import type { Express, NextFunction, Request, RequestHandler, Response } from 'express';
import type { z } from 'zod';
import { type FieldError, Problem, problems } from '../../kernel/errors';
import { forRequest } from '../telemetry/request-work';
import {
  type Endpoint,
  type GuardsOf,
  type Input,
  isBodyOptional,
  isRepeatable,
  type Route,
} from './endpoint';
import type { Idempotency } from './idempotency';
import { FORM, formBody, jsonBody, noBody, optionalJsonBody } from './json-body';
import { type CompressOptions, createSender, type Sender } from './send-reply';
import { allowUpload } from './upload';
import { MAX_FIELD_ERRORS, parseBody, parseParameters } from './validation';

export interface MountOptions extends CompressOptions {
  readonly guardsOf: GuardsOf;
  readonly bodyLimitBytes: number;
  readonly idempotency: Idempotency;
}

/**
 * Registers the routes in Express: pattern → 406 → guards → limits → body → validation → handler.
 */
export function mountRoutes(app: Express, routes: readonly Route[], options: MountOptions): void {
  const sendReply = createSender(options);
  // One layer per path for all its methods, because the router tests its layers in sequence.
  for (const [path, group] of groupByPath(routes)) {
    const here = app.route(path);
    for (const one of group) here[one.endpoint.method](...chainOf(one, options, sendReply));
    here.all(otherMethods(path, allowOf(group)));
  }
}

function groupByPath(routes: readonly Route[]): Map<string, Route[]> {
  const groups = new Map<string, Route[]>();
  for (const one of routes)
    groups.set(one.endpoint.path, [...(groups.get(one.endpoint.path) ?? []), one]);
  return groups;
}

function allowOf(group: readonly Route[]): string {
  const methods = group.flatMap(({ endpoint: { method } }) =>
    method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()],
  );
  return [...methods, 'OPTIONS'].join(', ');
}

function chainOf(
  { endpoint, before, handle }: Route,
  options: MountOptions,
  sendReply: Sender,
): RequestHandler[] {
  const { guardsOf, bodyLimitBytes, idempotency } = options;
  const repeatable = isRepeatable(endpoint);
  return [
    matched(endpoint),
    acceptable(endpoint),
    ...(endpoint.access === 'public' ? [] : guardsOf(endpoint)),
    ...before,
    ...bodyReader(endpoint, bodyLimitBytes),
    endpoint.local === true
      ? answer
      : (req, res, next) => forRequest(req.context, () => answer(req, res, next)),
  ];

  function answer(req: Request, res: Response, next: NextFunction): void {
    const input = inputOf(endpoint, req);
    const key = repeatable ? req.headers['idempotency-key'] : undefined;
    const reply =
      key === undefined
        ? handle(input, req, res)
        : idempotency.run(req, String(key), () => handle(input, req, res));
    // A synchronous reply is sent in the same turn: a read from the local cache needs no promise.
    if (reply instanceof Promise) reply.then((late) => sendReply(req, res, late)).catch(next);
    else sendReply(req, res, reply)?.catch(next);
  }
}

const matched =
  ({ path, waits }: Endpoint): RequestHandler =>
  (req, _res, next) => {
    req.context.routePattern = path;
    if (waits === true) req.context.waits = waits;
    next();
  };

function bodyReader(endpoint: Endpoint, limitBytes: number): RequestHandler[] {
  const { body, consumes, upload, method } = endpoint;
  if (upload !== undefined) return [allowUpload(consumes ?? [], upload)];
  if (body === undefined) return method === 'get' ? [] : [noBody];
  if (consumes?.includes(FORM) === true) return formBody(limitBytes);
  return isBodyOptional(endpoint) ? optionalJsonBody(limitBytes) : jsonBody(limitBytes, consumes);
}

const JSON_ONLY = ['application/json'] as const;

function acceptable({ produces = JSON_ONLY }: Endpoint): RequestHandler {
  const [main = ''] = produces;
  return (req, _res, next) => {
    const accept = req.headers.accept;
    // The short way, but for a type that may be excluded by a weight of 0.
    const names = (type: string) => accept?.includes(type) === true && !accept.includes('q=0');
    if (accept === undefined || names('*/*') || names(main) || req.accepts([...produces]) !== false)
      return next();
    next(
      new Problem(406, 'not_acceptable', 'Not acceptable', {
        detail: `This service answers in ${produces.join(' or ')}.`,
      }),
    );
  };
}

const NO_QUERY: Readonly<Record<string, never>> = {};

function inputOf(endpoint: Endpoint, req: Request): Input<unknown, unknown, unknown> {
  // Each access to `req.query` parses the query again.
  const query: Record<string, unknown> = req.url.includes('?') ? req.query : NO_QUERY;
  if (endpoint.query === undefined && query !== NO_QUERY && Object.keys(query).length > 0) {
    const errors = Object.keys(query)
      .slice(0, MAX_FIELD_ERRORS)
      .map(
        (pointer): FieldError => ({
          pointer,
          code: 'unknown_parameter',
          message: 'is not a known parameter',
        }),
      );
    throw problems.malformed('invalid_query', 'A query parameter is not valid.', { errors });
  }
  return {
    params: endpoint.params === undefined ? undefined : pathParametersOf(endpoint.params, req),
    query:
      endpoint.query === undefined
        ? NO_QUERY
        : parseParameters(endpoint.query, { ...query }, 'query'),
    body: endpoint.body === undefined ? undefined : parseBody(endpoint.body, req.body),
  };
}

function pathParametersOf(schema: z.ZodType, req: Request): unknown {
  const params = parseParameters(schema, req.params, 'path');
  if (req.context.span !== undefined) req.context.hasValidPath = true;
  return params;
}

function otherMethods(path: string, allow: string): RequestHandler {
  return (req, res) => {
    req.context.routePattern = path;
    res.setHeader('Allow', allow);
    if (req.method === 'OPTIONS') {
      res.status(204).end();
      return;
    }
    throw new Problem(405, 'method_not_allowed', 'Method not allowed', {
      detail: `This resource allows ${allow}.`,
    });
  };
}
