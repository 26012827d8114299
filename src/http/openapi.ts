import { z } from 'zod';
import { type Endpoint, problemSchema, type Route } from './endpoint';
import { PROBLEM_TYPE } from './problem';

export type OpenApi = Readonly<Record<string, unknown>>;

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: 'The request is malformed.',
  401: 'Not signed in, or the credentials are not valid.',
  403: 'Not allowed for this user.',
  404: 'There is no such resource.',
  406: 'The answer would be JSON, which the client does not accept.',
  409: 'In conflict with the present state.',
  412: 'The resource has changed.',
  413: 'The body is too large.',
  415: 'The body is not of a supported media type.',
  422: 'Fields are not valid.',
  429: 'Too many requests; wait for Retry-After seconds.',
  503: 'Not now; try again after Retry-After seconds.',
};

/** The OpenAPI 3.1 document, made from the same validators that parse the requests. */
export function createOpenApi(routes: readonly Route[], options: { serverUrl?: string | undefined } = {}): OpenApi {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { endpoint } of routes) {
    const path = endpoint.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method]: operationOf(endpoint) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'User and authentication API',
      version: '1.0.0',
      description: 'Errors are RFC 9457 problem details. Send `Authorization: Bearer <access_token>` where `bearer` is shown.',
    },
    ...(options.serverUrl === undefined ? {} : { servers: [{ url: options.serverUrl }] }),
    paths,
    components: {
      schemas: { Problem: jsonSchema(problemSchema, 'output') },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  };
}

function operationOf(endpoint: Endpoint): Record<string, unknown> {
  return {
    operationId: endpoint.id,
    summary: endpoint.summary,
    tags: [endpoint.tag],
    security: endpoint.access === 'public' ? [] : [{ bearer: [] }],
    parameters: [...parametersOf(endpoint.params, 'path'), ...parametersOf(endpoint.query, 'query')],
    ...(endpoint.body === undefined ? {} : { requestBody: { required: true, content: contentOf(endpoint.body, endpoint.consumes) } }),
    responses: joined(problemsOf(endpoint), answersOf(endpoint)),
  };
}

/** A status that is both an answer of its own and a problem has the contents of both. */
function joined(problems: Record<string, unknown>, answers: Record<string, unknown>): Record<string, unknown> {
  const both = Object.entries(answers).map(([status, answer]) => {
    const problem = problems[status] as { content?: object } | undefined;
    const own = answer as { content?: object };
    return [status, problem === undefined ? own : { ...problem, ...own, content: { ...problem.content, ...own.content } }];
  });
  return { ...problems, ...Object.fromEntries(both) };
}

function contentOf(schema: z.ZodType, mediaTypes: readonly string[] = ['application/json']): Record<string, unknown> {
  return Object.fromEntries(mediaTypes.map((type) => [type, { schema: jsonSchema(schema, 'input') }]));
}

function answersOf(endpoint: Endpoint): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(endpoint.answers).map(([status, answer]) => [
      status,
      {
        description: answer.description,
        ...(answer.headers === undefined
          ? {}
          : {
              headers: Object.fromEntries(
                Object.entries(answer.headers).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
              ),
            }),
        ...(answer.schema === undefined ? {} : { content: { 'application/json': { schema: jsonSchema(answer.schema, 'output') } } }),
      },
    ]),
  );
}

/** Statuses that follow from what the endpoint is, and those it names. */
function problemsOf(endpoint: Endpoint): Record<string, unknown> {
  const statuses = new Set([400, 406, 429, 503, ...(endpoint.problems ?? [])]);
  if (endpoint.access !== 'public') statuses.add(401);
  if (endpoint.access === 'admin') statuses.add(403);
  if (endpoint.body !== undefined) for (const status of [413, 415, 422]) statuses.add(status);
  return Object.fromEntries(
    [...statuses].sort().map((status) => [
      status,
      {
        description: STATUS_TEXT[status] ?? 'A problem.',
        ...(status === 401 ? { headers: { 'WWW-Authenticate': { description: 'RFC 6750 challenge.', schema: { type: 'string' } } } } : {}),
        ...(status === 429 || status === 503
          ? { headers: { 'Retry-After': { description: 'Seconds.', schema: { type: 'string' } } } }
          : {}),
        content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}

function parametersOf(schema: z.ZodType | undefined, where: 'path' | 'query'): unknown[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonSchema(schema, 'input') as {
    properties?: Record<string, { description?: string }>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, one]) => {
    const { description, ...rest } = one;
    return {
      name,
      in: where,
      required: where === 'path' || required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: rest,
    };
  });
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12', io, unrepresentable: 'any', reused: 'inline' });
  return rest;
}
