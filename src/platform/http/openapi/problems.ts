import { PROBLEM_CODES, type ProblemCode } from '../../../kernel/problem-codes';
import { type Endpoint, isRepeatable } from '../endpoint';
import type { Extension } from '../extension';
import { PROBLEM_TYPE } from '../problem';
import { headersOf } from './headers';
import { groupsOf } from './problem-groups';
import { PROBLEM_STATUSES } from './problem-statuses';

const REPLAYED = {
  'Idempotent-Replayed':
    '`true` when the response repeats the first one to the same `Idempotency-Key`.',
};
/** Final results of a request, which are stored for repeats. */
const STORED_STATUSES: ReadonlySet<number> = new Set([400, 401, 403, 404, 409, 422]);

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
