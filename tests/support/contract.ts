import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020';
import addFormats from 'ajv-formats';

interface Media {
  readonly schema?: object;
}
interface Reference {
  readonly $ref: string;
}
interface Response {
  readonly headers?: Readonly<Record<string, Reference>>;
  readonly content?: Readonly<Record<string, Media>>;
}
interface Operation {
  readonly responses: Readonly<Record<string, Response | Reference>>;
}
interface Header {
  readonly required?: boolean;
  readonly schema: { readonly type: string };
}
interface Document {
  readonly components: { readonly headers: Readonly<Record<string, Header>> };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

interface Observed {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly headers: Headers;
  readonly json: unknown;
  readonly text: string;
}

/**
 * Checks responses against an OpenAPI document: status, headers, media type and body must be
 * documented.
 */
export interface Contract {
  /**
   * How the response deviates from the document; undefined when it conforms, or when the path is
   * not documented.
   */
  fault(answer: Observed): string | undefined;
  /** `METHOD /path` of the document; undefined when it has no such operation. */
  operationOf(method: string, path: string): string | undefined;
  /** `METHOD /path status` of the checked responses. */
  readonly seen: ReadonlySet<string>;
  readonly operations: readonly string[];
}

const DOCUMENT = 'openapi.json';
const verbOf = (method: string) => (method === 'HEAD' ? 'get' : method.toLowerCase());
const escaped = (part: string) => part.replaceAll('~', '~0').replaceAll('/', '~1');

export function createContract(document: object): Contract {
  const { paths, components } = document as Document;
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addFormat('password', true);
  ajv.addSchema(document, DOCUMENT);
  const seen = new Set<string>();
  const templates = Object.keys(paths).map((template) => ({
    template,
    pattern: new RegExp(`^${template.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    parameters: template.split('{').length,
  }));
  templates.sort((a, b) => a.parameters - b.parameters);

  function validatorOf(pointer: readonly string[]): ValidateFunction {
    const reference = `${DOCUMENT}#/${pointer.map((part) => encodeURIComponent(escaped(part))).join('/')}`;
    const validate = ajv.getSchema(reference);
    if (validate === undefined) throw new Error(`no schema at ${reference}`);
    return validate;
  }

  function templateOf(path: string): string | undefined {
    // Resolve dot segments like the client: it sends `/a/..` as `/`.
    const plain = new URL(path, 'http://localhost').pathname;
    return templates.find(({ pattern }) => pattern.test(plain))?.template;
  }

  return {
    seen,
    operations: Object.entries(paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    ),
    operationOf(method, path) {
      const template = templateOf(path);
      const verb = verbOf(method);
      return template === undefined || paths[template]?.[verb] === undefined
        ? undefined
        : `${verb.toUpperCase()} ${template}`;
    },
    fault(answer) {
      const template = templateOf(answer.path);
      const verb = verbOf(answer.method);
      const operation = template === undefined ? undefined : paths[template]?.[verb];
      // Undocumented methods of a path get 405 with Allow, which OpenAPI cannot describe.
      if (template === undefined || operation === undefined) return undefined;
      seen.add(`${verb.toUpperCase()} ${template} ${answer.status}`);
      const found = faultOf(answer, operation, [
        'paths',
        template,
        verb,
        'responses',
        String(answer.status),
      ]);
      return found === undefined
        ? undefined
        : `${verb.toUpperCase()} ${template} ${answer.status} ${found}: ${answer.text.slice(0, 300)}`;
    },
  };

  function headerFault(name: string, value: string | null, response: Response): string | undefined {
    const { required = false, schema } = components.headers[name] as Header;
    if (value === null) return required ? `has no ${name}` : undefined;
    if (response.headers?.[name] === undefined) return `has an undocumented ${name}`;
    const validate = validatorOf(['components', 'headers', name, 'schema']);
    return validate(schema.type === 'integer' ? Number(value) : value)
      ? undefined
      : `has a wrong ${name}: ${value}`;
  }

  function faultOf(answer: Observed, operation: Operation, direct: string[]): string | undefined {
    const given = operation.responses[String(answer.status)];
    if (given === undefined) return 'is not documented';
    // Documented, because it can happen, but always a failure in a test.
    if (answer.status === 500) return 'is an internal error';
    const pointer = '$ref' in given ? given.$ref.split('/').slice(1) : direct;
    const response =
      '$ref' in given
        ? (pointer.reduce<unknown>((from, name) => (from as never)[name], document) as Response)
        : given;
    const faults = Object.keys(components.headers).map((name) =>
      headerFault(name, answer.headers.get(name), response),
    );
    return faults.find((one) => one !== undefined) ?? bodyFault(answer, response, pointer);
  }

  function bodyFault(
    { method, headers, json, text }: Observed,
    response: Response,
    pointer: readonly string[],
  ): string | undefined {
    if (method === 'HEAD') return undefined;
    if (text === '')
      return 'application/json' in (response.content ?? {}) ? 'has no body' : undefined;
    const media = mediaTypeOf(headers);
    if (response.content?.[media] === undefined) return `is not documented as ${media}`;
    const validate = validatorOf([...pointer, 'content', media, 'schema']);
    return bodiesOf(media, json, text).every((value) => validate(value))
      ? undefined
      : `is not as documented (${ajv.errorsText(validate.errors)})`;
  }
}

const EVENT_STREAM = 'text/event-stream';

/** What the schema of a media type is of. */
function bodiesOf(media: string, json: unknown, text: string): unknown[] {
  if (media === EVENT_STREAM) return eventsOf(text);
  return [/[/+]json$/.test(media) ? json : text];
}

/** The events of a stream that have data. The document has the schema of one. */
const eventsOf = (text: string): object[] =>
  text
    .split('\n\n')
    .map((block) =>
      Object.fromEntries(
        block.split('\n').map((line) => /^(\w+): ?(.*)$/.exec(line)?.slice(1) ?? ['', line]),
      ),
    )
    .filter((event) => 'data' in event)
    .map(({ id, event, data }) => ({ id, event, data }));

const mediaTypeOf = (headers: Headers): string => headers.get('content-type')?.split(';')[0] ?? '';
