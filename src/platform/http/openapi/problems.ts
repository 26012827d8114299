import { type CodeOf, PROBLEM_CODES, type ProblemCode } from '../../../kernel/problem-codes';
import { type Endpoint, isRepeatable } from '../endpoint';
import type { Extension } from '../extension';
import { FORM } from '../json-body';
import { PROBLEM_TYPE } from '../problem';
import { headersOf } from './headers';
import { PROBLEM_STATUSES } from './problem-statuses';

const REPLAYED = {
  'Idempotent-Replayed':
    '`true` when the response repeats the first one to the same `Idempotency-Key`.',
};
/** Final results of a request, which are stored for repeats. */
const STORED_STATUSES: ReadonlySet<number> = new Set([400, 401, 403, 404, 409, 422]);

/** Problems of any request. */
const ALWAYS: readonly ProblemCode[] = [
  ...([
    'malformed_request',
    'host_required',
    'invalid_query',
    'not_acceptable',
    'request_timeout',
    'unknown_expectation',
  ] as const),
  ...([
    'rate_limited',
    'headers_too_large',
    'internal_error',
    'database_unavailable',
    // A read too may have to write: it lifts a ban that is over.
    'contended',
    'signing_keys_unavailable',
    'overloaded',
  ] as const),
];
const PATH: readonly CodeOf<400>[] = ['malformed_path', 'invalid_path_parameter'];
const BODY: readonly ProblemCode[] = [
  'body_too_large',
  'unsupported_media_type',
  'unsupported_encoding',
];
const JSON_BODY: readonly ProblemCode[] = [
  'body_required',
  'malformed_json',
  'json_too_deep',
  'validation_failed',
];
const KEY: readonly ProblemCode[] = [
  ...([
    'invalid_idempotency_key',
    'request_in_flight',
    'answer_no_longer_kept',
    'idempotency_key_reused',
  ] as const),
];
const TOKEN: readonly ProblemCode[] = [
  'missing_token',
  'invalid_token',
  'token_expired',
  'insufficient_scope',
];

/**
 * The problem codes of an endpoint, in labelled groups: derived from its fields, and listed by
 * itself.
 */
function groupsOf(
  endpoint: Endpoint,
  extension: Extension,
): (readonly [label: string, codes: readonly ProblemCode[]])[] {
  const { access, permission, consumes, method, params, problems = [] } = endpoint;
  const body = endpoint.upload ?? endpoint.body;
  const isJson = endpoint.body !== undefined && consumes?.includes(FORM) !== true;
  return [
    ['', ALWAYS],
    ['Path', params === undefined ? [] : PATH],
    ['', body === undefined ? [] : BODY],
    ['NoBody', body === undefined && method !== 'get' ? ['unexpected_body'] : []],
    ['Body', isJson ? JSON_BODY : []],
    ['Key', isRepeatable(endpoint) ? KEY : []],
    tokenGroup(endpoint),
    ['Role', access === 'public' || permission === undefined ? [] : ['forbidden']],
    ['Personal', isPersonal(endpoint) ? ['impersonation_forbidden'] : []],
    extension.problems ?? ['', []],
    ['Write', method === 'get' ? [] : ['write_unconfirmed']],
    [
      'IfMatch',
      problems.includes('precondition_failed') ? ['invalid_if_match', 'invalid_if_none_match'] : [],
    ],
    ...problems.map((code) => [pascal(code), [code]] as const),
  ];
}

/** Operations that ask for a recent login refuse an administrator who acts as the user. */
const isPersonal = ({ impersonation, problems }: Endpoint): boolean =>
  impersonation === false || problems?.includes('insufficient_user_authentication') === true;

/** Public endpoints may list the same codes of 401: the label tells the responses apart. */
function tokenGroup({ access, problems = [] }: Endpoint): [string, readonly ProblemCode[]] {
  const refusesMore = problems.some(
    (code) => PROBLEM_CODES[code].status === 401 && code !== 'insufficient_user_authentication',
  );
  return [refusesMore ? 'Bearer' : '', access === 'public' ? [] : TOKEN];
}

const pascal = (code: string) =>
  code.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** `BadRequest` becomes the title `Bad request`. */
const titleOf = (status: number): string =>
  (PROBLEM_STATUSES[status]?.name ?? '').replaceAll(
    /(?<=[a-z])[A-Z]/g,
    (letter) => ` ${letter.toLowerCase()}`,
  );

/** An example of a problem with this code, for components.examples. */
export function problemExample(code: ProblemCode): Readonly<Record<string, unknown>> {
  const { status, meaning } = PROBLEM_CODES[code];
  const errors = [
    { pointer: '/email', code: 'wrong_format', message: 'must be an e-mail address' },
  ];
  const value = {
    type: `urn:problem:${code}`,
    title: titleOf(status),
    status,
    detail: meaning,
    instance: 'urn:request:044c7f48-4144-8056-8731-a989e00bc07a',
    code,
    ...(code === 'validation_failed' ? { errors } : {}),
  };
  return { summary: meaning, value };
}

type Responses = Record<string, unknown>;

export interface ProblemResponses {
  /** For components.responses. */
  readonly named: Readonly<Responses>;
  /** References to the named responses. */
  readonly byStatus: Readonly<Responses>;
  readonly codes: readonly ProblemCode[];
}

/**
 * The problem responses of an endpoint, for components.responses. Their names come from their
 * codes.
 */
export function problemResponses(endpoint: Endpoint, extension: Extension): ProblemResponses {
  const named: Responses = {};
  const byStatus: Responses = {};
  const groups = groupsOf(endpoint, extension);
  for (const [status, { name, description, headers }] of Object.entries(PROBLEM_STATUSES)) {
    const here = groups
      .map(
        ([label, codes]) =>
          [label, codes.filter((code) => PROBLEM_CODES[code].status === Number(status))] as const,
      )
      .filter(([, codes]) => codes.length > 0);
    if (here.length === 0) continue;
    const isStored = isRepeatable(endpoint) && STORED_STATUSES.has(Number(status));
    const labels = [...new Set([...here.map(([label]) => label), ...(isStored ? ['Key'] : [])])];
    const added = status === '401' ? extension.unauthorized : undefined;
    const full = name + labels.join('') + (added?.label ?? '');
    const codes = here.flatMap(([, some]) => some);
    named[full] = {
      description,
      headers: headersOf({
        ...headers,
        ...(isStored ? REPLAYED : {}),
        ...added?.headers,
      }),
      content: { [PROBLEM_TYPE]: contentOf(codes) },
    };
    byStatus[status] = { $ref: `#/components/responses/${full}` };
  }
  return { named, byStatus, codes: groups.flatMap(([, codes]) => codes) };
}

const contentOf = (codes: readonly ProblemCode[]) => ({
  schema: {
    allOf: [
      { $ref: '#/components/schemas/Problem' },
      { type: 'object', properties: { code: { type: 'string', enum: codes } } },
    ],
  },
  examples: Object.fromEntries(
    codes.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
  ),
});
