import { type CodeOf, PROBLEM_CODES, type ProblemCode } from '../../../kernel/problem-codes';
import { type Endpoint, isRepeatable } from '../endpoint';
import type { Extension } from '../extension';
import { FORM } from '../json-body';

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
export function groupsOf(
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
