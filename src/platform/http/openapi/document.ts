import { isScope } from '../../../kernel/permissions';
import { VERSION } from '../../../kernel/version';
import type { Route } from '../endpoint';
import type { Extensions } from '../extension';
import { problemSchema } from '../problem-schema';
import { RESPONSE_HEADERS } from '../response-headers';
import { headerParametersFor } from './headers';
import { operationOf } from './operation';
import { problemExample, problemResponses } from './problems';
import { createComponents } from './schemas';

export type OpenApi = Readonly<Record<string, unknown>>;

export interface OpenApiOptions {
  /** The public base URL of the service; default: relative to the document. */
  readonly serverUrl?: string | undefined;
  readonly environment: 'development' | 'test' | 'production';
  readonly extensions: Extensions;
}

const TOKEN_PATH = '/api/auth/token';

const INFO = {
  title: 'User and authentication API',
  version: VERSION,
  description:
    'Errors are RFC 9457 problem details: compare `code`. Send `Authorization: Bearer <access_token>` where `bearer` is shown. Every path may also answer 405, and unknown paths answer 404.',
  license: { name: 'MIT', identifier: 'MIT' },
  contact: { name: 'The operator of this service' },
} as const;

/** Creates the OpenAPI 3.1 document from the validators that parse the requests. */
export function createOpenApi(routes: readonly Route[], options: OpenApiOptions): OpenApi {
  const { extensions } = options;
  const components = createComponents();
  components.schemaOf(problemSchema, 'output');
  const { paths, responses, examples } = describeRoutes(routes, extensions, components);
  return {
    openapi: '3.1.0',
    info: INFO,
    servers: [
      {
        url: options.serverUrl?.replace(/\/+$/, '') || '/',
        description: DESCRIPTIONS[options.environment],
        'x-internal': false,
      },
    ],
    tags: usedTags(routes, extensions.tags),
    paths,
    components: {
      schemas: components.schemas,
      responses,
      parameters: headerParametersFor(extensions.requestHeaders),
      examples,
      headers: RESPONSE_HEADERS,
      securitySchemes: { ...securitySchemes(routes), ...extensions.securitySchemes },
    },
  };
}

/** The operations by path, with the responses and examples that they name. */
function describeRoutes(
  routes: readonly Route[],
  extensions: Extensions,
  components: ReturnType<typeof createComponents>,
) {
  const paths: Record<string, Record<string, unknown>> = {};
  const responses: Record<string, unknown> = {};
  const examples: Record<string, unknown> = {};
  for (const { endpoint } of routes) {
    const path = endpoint.path.replaceAll(/:(\w+)/g, '{$1}');
    const extension = extensions.extensionOf(endpoint);
    const { named, byStatus, codes } = problemResponses(endpoint, extension);
    addNamed(responses, named);
    for (const code of codes) examples[code] = problemExample(code);
    paths[path] = {
      ...paths[path],
      [endpoint.method]: operationOf({ endpoint, extension }, components, { named, byStatus }),
    };
  }
  return { paths, responses, examples };
}

function usedTags(routes: readonly Route[], tags: Extensions['tags']): object[] {
  const used = new Set(routes.map(({ endpoint: { tag } }) => tag));
  const unknown = [...used].filter((tag) => tags[tag] === undefined);
  if (unknown.length > 0) throw new Error(`no description of the tags ${unknown.join(', ')}`);
  return Object.entries(tags)
    .filter(([name]) => used.has(name))
    .map(([name, description]) => ({ name, description }));
}

/** Each name has one set of codes. */
function addNamed(all: Record<string, unknown>, named: Readonly<Record<string, unknown>>): void {
  for (const [name, one] of Object.entries(named)) {
    if (all[name] !== undefined && JSON.stringify(all[name]) !== JSON.stringify(one))
      throw new Error(`two responses have the name ${name}`);
    all[name] = one;
  }
}

const DESCRIPTIONS = {
  development: 'Local development.',
  test: 'Test.',
  production: 'Production.',
} as const;

function securitySchemes(routes: readonly Route[]): Record<string, unknown> {
  const needed = routes.flatMap(({ endpoint: { permission } }) => permission ?? []);
  const scopes = [...new Set(needed.filter(isScope))].sort();
  return {
    bearer: {
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
      description:
        'An access token of a user (RFC 9068), from register, login or refresh. Signed and verified according to RFC8725.',
    },
    oauth2: {
      type: 'oauth2',
      description:
        'An access token of a service account, with scopes. Signed and verified according to RFC8725.',
      flows: {
        clientCredentials: {
          tokenUrl: TOKEN_PATH,
          refreshUrl: TOKEN_PATH,
          scopes: Object.fromEntries(
            scopes.map((scope) => [scope, `Operations that name ${scope}.`]),
          ),
        },
      },
    },
    // The registered spelling of the scheme; scheme names are case-insensitive (RFC 9110 §11.1).
    clientSecret: {
      type: 'http',
      scheme: 'Basic',
      description:
        '`client_id` and `client_secret` of a service account (client_secret_basic); or both in the form.',
    },
  };
}
