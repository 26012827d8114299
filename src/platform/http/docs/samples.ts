import type { Document, Operation, OperationAt, Parameter } from './document';

/** Samples of one operation: a shell command, and the body of an async function. */
export interface Samples {
  readonly curl: string;
  readonly javascript: string;
}

/** The first lines of the samples of all operations. */
export const SETUP: Samples = {
  curl: `API=https://id.example.org
TOKEN=… # access_token of a login`,
  javascript: `import { createClient } from '@clustered-auth/client';

const baseUrl = 'https://id.example.org';
const client = createClient({ baseUrl });`,
};

export function samplesOf(at: OperationAt, { resolve }: Document): Samples {
  const parameters = at.operation.parameters.map((one) => resolve<Parameter>(one));
  const path = Object.fromEntries(
    parameters
      .filter((one) => one.in === 'path')
      .map(({ name, schema }) => [name, String(schema.examples?.[0] ?? 'ID')]),
  );
  const [type, { example = undefined } = {}] =
    Object.entries(at.operation.requestBody?.content ?? {})[0] ?? [];
  const request = { ...at, path, template: at.path, type, body: example };
  return { curl: curlOf(request), javascript: javascriptOf(request) };
}

interface Sampled extends Pick<OperationAt, 'method' | 'operation'> {
  readonly template: string;
  readonly path: Readonly<Record<string, string>>;
  readonly type: string | undefined;
  readonly body: unknown;
}

const filled = ({ template, path }: Sampled): string =>
  template.replaceAll(/\{(\w+)\}/g, (_, name: string) => path[name] ?? '');
const needs = ({ security }: Operation, scheme: string): boolean => scheme in (security[0] ?? {});
/** A response of success; a redirect has none. */
const successOf = ({ responses }: Operation) =>
  Object.entries(responses).find(([status]) => status.startsWith('2'))?.[1];
const typesOf = (operation: Operation): readonly string[] => {
  const success = successOf(operation);
  return success !== undefined && 'content' in success ? Object.keys(success.content ?? {}) : [];
};
const isStream = (operation: Operation): boolean =>
  typesOf(operation).includes('text/event-stream');

const FORM = 'application/x-www-form-urlencoded';
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
const entriesOf = (body: unknown) =>
  Object.entries(body as Readonly<Record<string, unknown>>).filter(
    ([name]) => !/^client_(id|secret)$/.test(name),
  );

function curlOf(request: Sampled): string {
  const { method, operation, type, body } = request;
  const verb = method === 'get' || (method === 'post' && body !== undefined);
  const target = `"$API${filled(request)}"`;
  const data =
    type === undefined
      ? []
      : type === FORM
        ? entriesOf(body).map(([name, value]) => `--data-urlencode ${quoted(`${name}=${value}`)}`)
        : [
            `-H 'Content-Type: ${type}'`,
            typeof body === 'string'
              ? `--data-binary ${quoted(body)}`
              : `-d ${quoted(JSON.stringify(body))}`,
          ];
  return [
    `curl${isStream(operation) ? ' -N' : ''}${verb ? '' : ` -X ${method.toUpperCase()}`} ${target}`,
    ...(needs(operation, 'bearer') ? ['-H "Authorization: Bearer $TOKEN"'] : []),
    ...(needs(operation, 'clientSecret') ? ['-u "$CLIENT_ID:$CLIENT_SECRET"'] : []),
    ...data,
  ].join(' \\\n  ');
}

/** Methods of the client that do more than send the request. */
const METHODS: Readonly<Record<string, (literal: string) => string>> = {
  register: (body) => `const result = await client.auth.register(${body});`,
  login: (body) => `const result = await client.auth.login(${body});`,
  verifyFactor: (body) => `const result = await client.auth.verifyMfa(${body});`,
  logout: () => 'await client.auth.logout();',
  listUsers: () =>
    "for await (const user of client.users.list({ role: ['admin'] })) console.log(user.email);",
  getUser: () => "const user = await client.users.get('me');",
  patchUser: (body) => `const user = await client.users.update('me', ${body});`,
};

function javascriptOf(request: Sampled): string {
  const { operation, method, template, path, type, body } = request;
  const own = METHODS[operation.operationId];
  if (own !== undefined) return own(literal(body));
  if (successOf(operation) === undefined)
    return `location.href = \`\${baseUrl}${filled(request)}\`;`;
  const isPlain = type === undefined || /json$/.test(type);
  if (!isPlain || type?.includes('ndjson') === true || isStream(operation)) return fetchOf(request);
  const [first = ''] = typesOf(operation);
  const input = {
    ...(Object.keys(path).length === 0 ? {} : { path }),
    ...(body === undefined ? {} : { body }),
    ...(first === '' || first === 'application/json' ? {} : { headers: { accept: first } }),
  };
  const rest = Object.keys(input).length === 0 ? '' : `, ${literal(input)}`;
  const call = `await client.request('${method.toUpperCase()}', '${template}'${rest});`;
  return first === '' ? call : `const answer = ${call}`;
}

/** Of forms, files and streams, which the client leaves to `fetch`. */
function fetchOf(request: Sampled): string {
  const { operation, method, type, body } = request;
  const init = [
    ...(method === 'get' ? [] : [`method: '${method.toUpperCase()}'`]),
    `headers: { ${[
      needs(operation, 'clientSecret')
        ? // biome-ignore lint/suspicious/noTemplateCurlyInString: Text of the sample.
          'authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}`'
        : // biome-ignore lint/suspicious/noTemplateCurlyInString: Text of the sample.
          'authorization: `Bearer ${await client.auth.accessToken()}`',
      ...(type === undefined || type === FORM ? [] : [`'content-type': '${type}'`]),
    ].join(', ')} }`,
    ...(type === undefined
      ? []
      : [
          type === FORM
            ? `body: new URLSearchParams(${literal(Object.fromEntries(entriesOf(body)))})`
            : `body: ${literal(body)}`,
        ]),
  ];
  return `const answer = await fetch(\`\${baseUrl}${filled(request)}\`, {
${init.map((line) => `  ${line.replaceAll('\n', '\n  ')},`).join('\n')}
});`;
}

const LINE_CHARACTERS = 60;
const keyOf = (name: string): string => (/^[A-Za-z_]\w*$/.test(name) ? name : text(name));
const text = (value: string): string =>
  `'${JSON.stringify(value).slice(1, -1).replaceAll(String.raw`\"`, '"').replaceAll("'", String.raw`\'`)}'`;

/** A value as JavaScript. */
function literal(value: unknown, indent = ''): string {
  if (typeof value === 'string') return text(value);
  if (typeof value !== 'object' || value === null) return String(value);
  const inner = `${indent}  `;
  const isList = Array.isArray(value);
  const parts = isList
    ? value.map((one) => literal(one, inner))
    : Object.entries(value).map(([name, one]) => `${keyOf(name)}: ${literal(one, inner)}`);
  if (parts.length === 0) return isList ? '[]' : '{}';
  const line = parts.join(', ');
  if (line.length <= LINE_CHARACTERS && !line.includes('\n'))
    return isList ? `[${line}]` : `{ ${line} }`;
  const [open, close] = isList ? '[]' : '{}';
  return `${open}\n${parts.map((part) => `${inner}${part},\n`).join('')}${indent}${close}`;
}
