import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020';
import addFormats from 'ajv-formats';

interface Media {
  readonly schema?: object;
}
interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Media>> }>>;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export interface Observed {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly contentType: string | null;
  readonly json: unknown;
  readonly text: string;
}

/** Holds answers against an OpenAPI document: their status, media type and body must be there. */
export interface Contract {
  /** What the answer does that the document does not say; undefined when nothing, or when the path is not in it. */
  fault(answer: Observed): string | undefined;
  /** `METHOD /path status` of the answers that were held against it. */
  readonly seen: ReadonlySet<string>;
  readonly operations: readonly string[];
}

const DOCUMENT = 'openapi.json';
const escaped = (part: string) => part.replaceAll('~', '~0').replaceAll('/', '~1');

export function createContract(document: object): Contract {
  const { paths } = document as Document;
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

  return {
    seen,
    operations: Object.entries(paths).flatMap(([path, item]) => Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`)),
    fault(answer) {
      const [plain = ''] = answer.path.split('?');
      const template = templates.find(({ pattern }) => pattern.test(plain))?.template;
      const verb = answer.method === 'HEAD' ? 'get' : answer.method.toLowerCase();
      const operation = template === undefined ? undefined : paths[template]?.[verb];
      // Methods that a path does not have are answered with 405 and Allow; the document cannot say so.
      if (template === undefined || operation === undefined) return undefined;
      seen.add(`${verb.toUpperCase()} ${template} ${answer.status}`);
      const found = faultOf(answer, operation, ['paths', template, verb, 'responses', String(answer.status)]);
      return found === undefined ? undefined : `${verb.toUpperCase()} ${template} ${answer.status} ${found}: ${answer.text.slice(0, 300)}`;
    },
  };

  function faultOf({ method, status, contentType, json, text }: Observed, operation: Operation, pointer: string[]): string | undefined {
    const response = operation.responses[String(status)];
    if (response === undefined) return 'is not documented';
    if (method === 'HEAD') return undefined;
    if (text === '') return response.content?.['application/json'] === undefined ? undefined : 'has no body';
    const media = (contentType ?? '').split(';')[0] ?? '';
    if (response.content?.[media] === undefined) return `is not documented as ${media}`;
    const validate = validatorOf([...pointer, 'content', media, 'schema']);
    return validate(json) ? undefined : `is not as documented (${ajv.errorsText(validate.errors)})`;
  }
}
