import type { z } from 'zod';
import { isScope, type Permission } from '../../../kernel/permissions';
import { type Endpoint, isBodyOptional, isRepeatable } from '../endpoint';
import type { Operation } from '../extension';
import { RESPONSE_HEADERS } from '../response-headers';
import { headerParametersOf, headersOf } from './headers';
import type { ProblemResponses } from './problems';
import type { Components } from './schemas';

/** `{}` means no authentication. Some tools do not read an empty list in this way. */
function securityOf({ endpoint, extension }: Operation): readonly object[] {
  const { access, permission, clientAuthentication } = endpoint;
  if (access !== 'public')
    return [
      { bearer: [] },
      ...(isForServices(permission) ? [{ oauth2: [permission] }] : []),
      ...(extension.security ?? []).map((scheme) => ({ [scheme]: [] })),
    ];
  return clientAuthentication === true ? [{ clientSecret: [] }, {}] : [{}];
}

const isForServices = (permission: Permission | undefined) =>
  permission !== undefined && isScope(permission);

/** The permission that a user needs, and the scope that a service account needs. */
function accessOf({ access, permission, own }: Endpoint): string[] {
  if (access === 'public')
    return [
      'Needs no access token.',
      ...(permission === undefined
        ? []
        : [`The service account needs the scope \`${permission}\`.`]),
    ];
  if (permission === undefined)
    return ['Needs an access token of a user.', 'Service accounts cannot use it.'];
  return [
    `Needs the permission \`${permission}\`${own === true ? '; the user itself needs none' : ''}.`,
    isForServices(permission)
      ? `Service accounts need the scope \`${permission}\`.`
      : 'Service accounts cannot use it.',
  ];
}

function describe(endpoint: Endpoint): string {
  const { method, clientAuthentication } = endpoint;
  const key = isRepeatable(endpoint)
    ? '`Idempotency-Key` is honoured.'
    : '`Idempotency-Key` is ignored.';
  return [
    ...accessOf(endpoint),
    ...(clientAuthentication === true ? ['Clients authenticate by Basic or in the form.'] : []),
    ...(method === 'post' || isRepeatable(endpoint) ? [key] : []),
  ].join(' ');
}

/** One operation of the OpenAPI document. */
export function operationOf(
  operation: Operation,
  components: Components,
  problems: Pick<ProblemResponses, 'named' | 'byStatus'>,
): Record<string, unknown> {
  const { endpoint } = operation;
  const body = endpoint.documentedBody ?? endpoint.body;
  return {
    operationId: endpoint.id,
    summary: endpoint.summary,
    description: describe(endpoint),
    tags: [endpoint.tag],
    security: securityOf(operation),
    ...(endpoint.permission === undefined ? {} : { 'x-permission': endpoint.permission }),
    ...(endpoint.own === undefined ? {} : { 'x-own': endpoint.own }),
    ...(endpoint.impersonation === false ? { 'x-impersonation': false } : {}),
    ...(endpoint.waits === undefined ? {} : { 'x-waits': endpoint.waits }),
    parameters: [
      ...parametersOf(components, endpoint.params, 'path'),
      ...parametersOf(components, endpoint.query, 'query'),
      ...headerParametersOf(operation),
    ],
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !isBodyOptional(endpoint),
            content: contentOf(components, body, 'input', endpoint),
          },
        }),
    responses: withSuccess(joined(problems, answersOf(operation, components))),
  };
}

/** Generators of clients need a response of success; a redirect is none to them. */
const withSuccess = (responses: Record<string, unknown>): Record<string, unknown> =>
  Object.keys(responses).some((status) => status.startsWith('2'))
    ? responses
    : {
        ...responses,
        default: { description: 'The redirect is the success.', headers: headersOf({}) },
      };

interface Answer {
  readonly headers?: object;
  readonly content?: object;
}

/** Merges the two contents of a status that is both a documented response and a problem. */
function joined(
  { named, byStatus }: Parameters<typeof operationOf>[2],
  answers: Readonly<Record<string, Answer>>,
): Record<string, unknown> {
  const own = Object.entries(answers).map(([status, answer]) => {
    const name = (byStatus[status] as { $ref: string } | undefined)?.$ref.split('/').at(-1);
    const problem = name === undefined ? undefined : (named[name] as Answer);
    return [
      status,
      problem === undefined
        ? answer
        : {
            ...answer,
            headers: { ...problem.headers, ...answer.headers },
            content: { ...problem.content, ...answer.content },
          },
    ];
  });
  return { ...byStatus, ...Object.fromEntries(own) };
}

function contentOf(
  { schemaOf, exampleOf }: Components,
  body: z.ZodType,
  side: 'input' | 'output',
  { consumes, produces, examples }: Endpoint,
): object {
  const schema = schemaOf(body, side);
  const mediaTypes = (side === 'input' ? consumes : produces) ?? ['application/json'];
  return Object.fromEntries(
    mediaTypes.map((type) => [type, { schema, example: examples?.[type] ?? exampleOf(schema) }]),
  );
}

function answersOf(
  { endpoint, extension }: Operation,
  components: Components,
): Record<string, Answer> {
  const replayed = isRepeatable(endpoint)
    ? { 'Idempotent-Replayed': RESPONSE_HEADERS['Idempotent-Replayed'].description }
    : {};
  return Object.fromEntries(
    Object.entries(endpoint.answers).map(([status, { description, headers, schema }]) => [
      status,
      {
        description,
        headers: headersOf({ ...headers, ...replayed, ...extension.answerHeaders }),
        ...(schema === undefined
          ? {}
          : {
              content: contentOf(components, schema, 'output', endpoint),
            }),
      },
    ]),
  );
}

function parametersOf(
  { schemaOf }: Components,
  schema: z.ZodType | undefined,
  where: 'path' | 'query',
): unknown[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    properties?: Record<string, { description?: string; type?: string }>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    // A list is one value, separated by commas.
    ...(rest.type === 'array' ? { style: 'form', explode: false } : {}),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }));
}
