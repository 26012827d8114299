import { parseValues } from '../src/app/cli/arguments';
import { refuseWords, UsageError } from '../src/app/cli/run';

export interface Options {
  readonly quick: boolean;
  /** Where to write every figure as JSON. */
  readonly json: string | undefined;
  /** Figures of earlier runs (their --json) to write the results from, instead of measuring. */
  readonly report: readonly string[];
  /** Node majors, e.g. ['20', '24']; empty is the Node that runs the harness. */
  readonly nodes: readonly string[];
  /** Ids of the questions to ask; empty is all. */
  readonly only: readonly string[];
  /** Whether to write bench/RESULTS.md and the picture. */
  readonly write: boolean;
  /** A MongoDB to use instead of the embedded one. */
  readonly mongodbUri: string | undefined;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmSeconds: number;
  readonly connections: number;
}

/** `ids`: of the questions. */
export const helpText = (ids: readonly string[]): string => `Usage: npm run bench -- [OPTIONS]

Measures the service beside bare node:http, Express and Fastify, and writes bench/RESULTS.md and
bench/results.svg. Without options it takes most of an hour.

--quick         fewer rounds and questions, at most three minutes; writes no results
--only A,B      only these questions, and writes no results; they are
${wrapped(ids)}
--rounds N      turns per contestant (5)
--seconds N     seconds per turn (4)
--warm N        seconds of warming up per contestant (10: the compiler works on the same cores)
--node 20,24    Node versions to compare, fetched through npx where they are not at hand
--mongodb URI   use this MongoDB instead of the embedded one
--json FILE     every figure as JSON
--report A,B    writes the results from earlier runs' JSON; of a figure in several, the last counts
--no-write      writes no results

Exit codes:
  0   done
  1   a question could not be measured
  64  invalid command, nothing was measured
  70  failed, see the message
`;

const COLUMN = ' '.repeat(16);
const wrapped = (ids: readonly string[]): string =>
  (ids.join(', ').match(/\S.{0,79}(?:,|$)/g) ?? []).map((line) => COLUMN + line).join('\n');

/** Throws UsageError; undefined: help was asked for. `ids`: of the questions. */
export function parseOptions(args: readonly string[], ids: readonly string[]): Options | undefined {
  const { words, values } = parseValues(args, {
    texts: ['json', 'mongodb', 'report', 'node', 'only', 'rounds', 'seconds', 'warm'],
    flags: ['quick', 'no-write'],
  });
  if (values.help) return undefined;
  refuseWords(words, helpText(ids));
  const { quick } = values;
  const only = list(values.only);
  const unknown = only.filter((id) => !ids.includes(id));
  if (unknown.length > 0)
    throw new UsageError(
      `There is no question ${unknown.join(', ')}; there are ${ids.join(', ')}.`,
    );
  const whole = (name: 'rounds' | 'seconds' | 'warm', fallback: number): number => {
    const text = values[name] ?? String(fallback);
    if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
    throw new UsageError(`--${name} must be a whole number from 1 to 9999.`);
  };
  return {
    quick,
    json: values.json,
    mongodbUri: values.mongodb,
    report: list(values.report),
    nodes: list(values.node),
    only,
    write: !values['no-write'] && !quick && only.length === 0,
    rounds: whole('rounds', quick ? 2 : 5),
    seconds: whole('seconds', quick ? 1 : 4),
    warmSeconds: whole('warm', quick ? 1 : 10),
    connections: 64,
  };
}

const list = (text = '') => text.split(',').filter((item) => item !== '');
