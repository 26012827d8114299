import { z } from 'zod';
import { type Endpoint, problemSchema, type Route } from './endpoint';
import { IDEMPOTENCY_KEY_PATTERN } from './idempotency';
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

const REPLAYED = { 'Idempotent-Replayed': '`true` on a repeat of an earlier answer to the same Idempotency-Key.' };

/** The OpenAPI 3.1 document, made from the same validators that parse the requests. */
export function createOpenApi(routes: readonly Route[], options: { serverUrl?: string | undefined } = {}): OpenApi {
  const components = createComponents();
  const problem = components.schemaOf(problemSchema, 'output');
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { endpoint } of routes) {
    const path = endpoint.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method]: operationOf(endpoint, { ...components, problem }) };
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
      schemas: components.schemas,
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  };
}

function operationOf(endpoint: Endpoint, { schemaOf, problem }: Schemas): Record<string, unknown> {
  return {
    operationId: endpoint.id,
    summary: endpoint.summary,
    tags: [endpoint.tag],
    security: endpoint.access === 'public' ? [] : [{ bearer: [] }],
    parameters: [
      ...parametersOf(schemaOf, endpoint.params, 'path'),
      ...parametersOf(schemaOf, endpoint.query, 'query'),
      ...idempotencyKeyOf(endpoint),
    ],
    ...(endpoint.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: contentOf(schemaOf(endpoint.documentedBody ?? endpoint.body, 'input'), endpoint.consumes),
          },
        }),
    responses: joined(problemsOf(endpoint, problem), answersOf(endpoint, schemaOf)),
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

function contentOf(schema: JsonSchema, mediaTypes: readonly string[] = ['application/json']): Record<string, unknown> {
  return Object.fromEntries(mediaTypes.map((type) => [type, { schema }]));
}

function answersOf(endpoint: Endpoint, schemaOf: SchemaOf): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(endpoint.answers).map(([status, answer]) => [
      status,
      {
        description: answer.description,
        ...(answer.headers === undefined && endpoint.method !== 'post'
          ? {}
          : {
              headers: Object.fromEntries(
                Object.entries({ ...answer.headers, ...(endpoint.method === 'post' ? REPLAYED : {}) }).map(([name, description]) => [
                  name,
                  { description, schema: { type: 'string' } },
                ]),
              ),
            }),
        ...(answer.schema === undefined ? {} : { content: { 'application/json': { schema: schemaOf(answer.schema, 'output') } } }),
      },
    ]),
  );
}

/** Statuses that follow from what the endpoint is, and those it names. */
function problemsOf(endpoint: Endpoint, schema: JsonSchema): Record<string, unknown> {
  const statuses = new Set([400, 406, 429, 503, ...(endpoint.problems ?? [])]);
  // 403: administrators alone, or a service account without the scope.
  if (endpoint.access !== 'public') for (const status of [401, 403]) statuses.add(status);
  if (endpoint.method === 'post') for (const status of [409, 422]) statuses.add(status);
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
        content: { [PROBLEM_TYPE]: { schema } },
      },
    ]),
  );
}

function idempotencyKeyOf({ method, idempotencyKey }: Endpoint): unknown[] {
  if (method !== 'post' || idempotencyKey === false) return [];
  const description = 'A new name for a new request, e.g. a UUID. Sent again with the same name, the request gets its first answer again.';
  const schema = { type: 'string', minLength: 8, maxLength: 130, pattern: IDEMPOTENCY_KEY_PATTERN };
  return [{ name: 'Idempotency-Key', in: 'header', required: false, description, schema }];
}

function parametersOf(schemaOf: SchemaOf, schema: z.ZodType | undefined, where: 'path' | 'query'): unknown[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
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

type JsonSchema = Readonly<Record<string, unknown>>;
type SchemaOf = (schema: z.ZodType, io: 'input' | 'output') => JsonSchema;

interface Schemas {
  readonly schemaOf: SchemaOf;
  readonly problem: JsonSchema;
}

/** Schemas that have an id stand once, under components; the others where they are used. */
function createComponents(): { readonly schemas: Readonly<Record<string, unknown>>; readonly schemaOf: SchemaOf } {
  const schemas: Record<string, unknown> = {};
  return {
    schemas,
    schemaOf(schema, io) {
      const made = z.toJSONSchema(schema, { target: 'draft-2020-12', io, unrepresentable: 'any', reused: 'inline' });
      const moved = JSON.stringify(made).replaceAll('"#/$defs/', '"#/components/schemas/');
      const { $schema: _, $defs = {}, ...rest } = JSON.parse(moved) as Record<string, unknown> & { $defs?: Record<string, object> };
      for (const [id, { id: __, ...definition }] of Object.entries($defs) as [string, Record<string, unknown>][]) {
        if (schemas[id] !== undefined && JSON.stringify(schemas[id]) !== JSON.stringify(definition)) {
          throw new Error(`two schemas have the id ${id}`);
        }
        schemas[id] = definition;
      }
      return rest;
    },
  };
}
