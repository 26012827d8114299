import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import Ajv2020 from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { PROBLEM_CODES } from '../../src/kernel/problem-codes';
import { startTestService, type TestService } from '../support/app';
import { type Client, createClient } from '../support/http';

let service: TestService;
let client: Client;
// biome-ignore lint/suspicious/noExplicitAny: a document of many shapes; each expectation checks the members that it reads.
let document: any;

const ORIGIN = 'https://app.example.org';

beforeAll(async () => {
  service = await startTestService({ CORS_ORIGINS: ORIGIN, PUBLIC_URL: 'https://api.example.org' });
  client = createClient(service.baseUrl);
  document = (await client('GET', '/openapi.json')).json;
});
afterAll(() => service?.close());

interface Operation {
  readonly operationId: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly security: readonly Record<string, string[]>[];
  readonly parameters: readonly {
    $ref?: string;
    name?: string;
    schema?: Record<string, unknown>;
  }[];
  readonly responses: Record<string, { $ref?: string; headers?: object }>;
}

const operations = (): Operation[] =>
  Object.values(document.paths).flatMap((item) => Object.values(item as Record<string, Operation>));
const operation = (id: string) =>
  operations().find(({ operationId }) => operationId === id) as Operation;
const resolved = <T>(one: T & { $ref?: string }): T =>
  one.$ref === undefined
    ? one
    : one.$ref
        .split('/')
        .slice(1)
        .reduce((from, name) => from[name], document);

test('the version is that of the package, and the server is PUBLIC_URL', async () => {
  const { version } = JSON.parse(readFileSync(resolve(__dirname, '../../../package.json'), 'utf8'));
  expect([document.info.version, document.info.license.identifier]).toEqual([version, 'MIT']);
  expect(document.servers).toEqual([
    { url: 'https://api.example.org', description: 'Test.', 'x-internal': false },
  ]);
});

test('without PUBLIC_URL the server is the origin of the document', async () => {
  const other = await startTestService();
  try {
    expect((await createClient(other.baseUrl)('GET', '/openapi.json')).json.servers[0].url).toBe(
      '/',
    );
  } finally {
    await other.close();
  }
});

test('the query parameters limit and count are documented as integer and boolean', async () => {
  for (const id of ['listUsers', 'listAuditEvents']) {
    const limit = operation(id).parameters.find(({ name }) => name === 'limit')?.schema;
    expect(limit).toEqual({ type: 'integer', format: 'int32', minimum: 1, maximum: 100 });
  }
  expect(operation('listUsers').parameters.find(({ name }) => name === 'count')?.schema).toEqual({
    type: 'boolean',
  });
});

test('each operation lists its security requirements and its request headers', () => {
  const tags = new Set(document.tags.map(({ name }: { name: string }) => name));
  for (const one of operations()) {
    expect([
      one.operationId,
      one.description.length > 10,
      one.tags.every((tag) => tags.has(tag)),
    ]).toEqual([one.operationId, true, true]);
    for (const scheme of one.security.flatMap(Object.keys))
      expect(document.components.securitySchemes).toHaveProperty(scheme);
    const names = one.parameters.map(({ $ref = '' }) => $ref.split('/').at(-1));
    expect(names).toEqual(expect.arrayContaining(['X-Request-Id', 'traceparent']));
    if ('304' in one.responses) expect(names).toContain('If-None-Match');
    for (const name of ['If-Match', 'UnlessMatch'])
      expect(names.includes(name)).toBe('412' in one.responses);
    for (const response of Object.values(one.responses)) {
      expect(resolved(response).headers).toEqual(
        expect.objectContaining({
          'X-Request-Id': expect.anything(),
          RateLimit: expect.anything(),
        }),
      );
    }
  }
  expect(operation('getUser').security).toEqual([{ bearer: [] }, { oauth2: ['users:read'] }]);
  expect(operation('token').security).toEqual([{ clientSecret: [] }, {}]);
});

test('codes of problems are enumerated for each status of each operation', () => {
  const codesOf = (id: string, status: number) => {
    const response = resolved(operation(id).responses[String(status)] as never) as never;
    return response['content']['application/problem+json']['schema']['allOf'][1]['properties'][
      'code'
    ]['enum'] as string[];
  };
  expect(codesOf('register', 409)).toEqual([
    'request_in_flight',
    'answer_no_longer_kept',
    'email_taken',
  ]);
  expect(codesOf('login', 401)).toEqual(['invalid_credentials']);
  for (const { operationId, responses } of operations()) {
    for (const status of Object.keys(responses).map(Number)) {
      if (
        !(status >= 400) ||
        operationId === 'token' ||
        operationId === 'revoke' ||
        operationId === 'introspect'
      )
        continue;
      for (const code of codesOf(operationId, status))
        expect([code, PROBLEM_CODES[code as never]]).toEqual([
          code,
          expect.objectContaining({ status }),
        ]);
    }
  }
});

test('every example matches its schema', () => {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addFormat('password', true);
  ajv.addSchema(document, 'document');
  const wrong: string[] = [];
  let count = 0;
  const look = (at: string, schemaAt: string, value: unknown) => {
    count += 1;
    const validate = ajv.getSchema(`document#${schemaAt}`);
    if (validate === undefined || !validate(value))
      wrong.push(`${at}: ${ajv.errorsText(validate?.errors)}`);
  };
  interface Node {
    readonly schema?: object;
    readonly example?: unknown;
    readonly examples?: unknown[] | Record<string, { $ref: string }>;
  }
  /** A schema's own examples are a list, those of a media type have names. */
  const examplesOf = ({ schema, example, examples = {} }: Node, at: string): void => {
    if (Array.isArray(examples)) for (const one of examples) look(at, at, one);
    if (schema === undefined) return;
    if (example !== undefined) look(at, `${at}/schema`, example);
    const named = Array.isArray(examples) ? [] : Object.values(examples);
    for (const one of named)
      look(`${at} ${one.$ref}`, `${at}/schema`, (resolved(one) as { value?: unknown }).value);
  };
  const walk = (node: unknown, at: string): void => {
    if (typeof node !== 'object' || node === null) return;
    examplesOf(node, at);
    for (const [key, value] of Object.entries(node)) {
      const part = encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'));
      if (key !== 'example' && key !== 'examples') walk(value, `${at}/${part}`);
    }
  };
  walk(document, '');
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(200);
});

test('CORS exposes every response header of the contract and allows the tracing headers', async () => {
  const { headers } = await client('GET', '/livez', { headers: { origin: ORIGIN } });
  const actual = await client('GET', '/api/nothing', { headers: { origin: ORIGIN } });
  const exposed = (actual.headers.get('access-control-expose-headers') ?? '')
    .toLowerCase()
    .split(',');
  const named = Object.keys(document.components.headers).map((name) => name.toLowerCase());
  // Browsers always expose the first, and never the others.
  expect(named.filter((name) => !exposed.includes(name))).toEqual([
    'cache-control',
    'set-cookie',
    'access-control-allow-origin',
  ]);
  const preflight = await client('OPTIONS', '/api/users/me', {
    headers: {
      origin: ORIGIN,
      'access-control-request-method': 'PATCH',
      'access-control-request-headers': 'baggage,sentry-trace,tracestate',
    },
  });
  const allowed = (preflight.headers.get('access-control-allow-headers') ?? '')
    .toLowerCase()
    .split(',');
  expect(allowed).toEqual(
    expect.arrayContaining([
      'baggage',
      'sentry-trace',
      'tracestate',
      'traceparent',
      'if-match',
      'idempotency-key',
    ]),
  );
  expect(headers.get('x-request-id')).not.toBeNull();
});

test('the page contains the table of problem codes', async () => {
  const { text } = await client('GET', '/docs');
  for (const code of Object.keys(PROBLEM_CODES)) expect(text).toContain(`id="code-${code}"`);
});
