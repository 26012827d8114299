import { isRepeatable } from '../endpoint';
import type { Extensions, Operation } from '../extension';
import { IDEMPOTENCY_KEY_PATTERN } from '../idempotency';
import { headerText, type ResponseHeader } from '../response-headers';

const ALWAYS = [
  'X-Request-Id',
  'RateLimit',
  'RateLimit-Policy',
  'Cache-Control',
  'Access-Control-Allow-Origin',
] as const satisfies ResponseHeader[];

/** The headers of every response, and `own`. */
export function headersOf(
  own: Readonly<Partial<Record<ResponseHeader, string>>> = {},
): Readonly<Record<string, unknown>> {
  const common = ALWAYS.map((name) => [name, { $ref: `#/components/headers/${name}` }]);
  const others = Object.entries(own).map(([name, description]) => [
    name,
    { $ref: `#/components/headers/${name}`, description },
  ]);
  return Object.fromEntries([...common, ...others]);
}

/**
 * These headers have no maximum length: an invalid value is replaced or ignored. Linters demand a
 * number.
 */
const ANY_LENGTH = 2_147_483_647;

/**
 * `*` or entity tags (RFC 9110 §8.8.3), in the form that clients send; the service also accepts
 * other white space.
 */
const tagsPattern = (tag: string) => `^(\\*|${tag}(, ?${tag}){0,19})$`;
const STRONG_TAG = '"[!#-~]*"';

const tags = (description: string, example: string, tag?: string) => ({
  description,
  schema: {
    ...headerText(ANY_LENGTH, example),
    ...(tag === undefined ? {} : { pattern: tagsPattern(tag) }),
  },
});
const TAG_EXAMPLE = '"652f1c3e9b1d4a0012ab34cd.1"';

const REQUEST_HEADERS = {
  'X-Request-Id': {
    description:
      'The id of this request: up to 128 letters, digits or any of `. _ ~ : -`. Anything else is replaced.',
    schema: headerText(ANY_LENGTH, '044c7f48-4144-8056-8731-a989e00bc07a'),
  },
  traceparent: {
    description: 'W3C Trace Context of this request. An invalid value is ignored.',
    schema: headerText(ANY_LENGTH, '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
  },
  'If-None-Match': tags(
    'Entity tags of the versions that the client has: 304 when the resource still has one of them.',
    TAG_EXAMPLE,
  ),
  'If-Match': tags(
    'Strong entity tags of the versions that the client wants to change: 412 when the resource has none of them.',
    '*',
    STRONG_TAG,
  ),
  // If-None-Match has another meaning in a change than in a read.
  UnlessMatch: {
    name: 'If-None-Match',
    ...tags(
      'Entity tags of the versions that the client does not want to change: 412 when the resource has one of them.',
      TAG_EXAMPLE,
      `(W/)?${STRONG_TAG}`,
    ),
  },
  'Idempotency-Key': {
    description:
      'A new key for a new request, e.g. a UUID. A repeat with the same key gets the first response again.',
    schema: {
      type: 'string',
      minLength: 8,
      maxLength: 130,
      pattern: IDEMPOTENCY_KEY_PATTERN,
      examples: ['7f9c2ba4-e88f-4a3d-9c1b-5d3f6f0a1e77'],
    },
  },
} as const;

type RequestHeader = keyof typeof REQUEST_HEADERS;

/** Of `components.parameters`: the headers of every module. */
export const headerParametersFor = (added: Extensions['requestHeaders']) =>
  Object.fromEntries(
    Object.entries({ ...REQUEST_HEADERS, ...added }).map(([name, one]) => [
      name,
      { name, in: 'header', required: false, ...one },
    ]),
  );

/** The request headers that an operation evaluates. */
export function headerParametersOf({ endpoint, extension }: Operation): readonly unknown[] {
  const own = (...names: RequestHeader[]) => names;
  return [
    ...own('X-Request-Id', 'traceparent'),
    ...(isRepeatable(endpoint) ? own('Idempotency-Key') : []),
    ...(extension.requestHeaders ?? []),
    ...(304 in endpoint.answers ? own('If-None-Match') : []),
    ...(endpoint.problems?.includes('precondition_failed') === true
      ? own('If-Match', 'UnlessMatch')
      : []),
  ].map((name) => ({ $ref: `#/components/parameters/${name}` }));
}
