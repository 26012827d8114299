import { parseArgs } from 'node:util';

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

export const USAGE = `npm run bench -- [options]
  --quick         fewer rounds and questions, at most three minutes; writes no results
  --json FILE     every figure as JSON
  --mongodb URI   use this MongoDB instead of the embedded one
  --report A,B    writes the results from earlier runs' JSON; of a figure in several, the last counts
  --node 20,24    Node versions to compare, fetched through npx where they are not at hand
  --only a,b      only these questions
  --rounds N      turns per contestant (5)
  --seconds N     seconds per turn (4)
  --warm N        seconds of warming up per contestant (10: the compiler works on the same cores)
  --no-write      leaves bench/RESULTS.md and bench/results.svg alone`;

export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      mongodb: { type: 'string' },
      report: { type: 'string', default: '' },
      node: { type: 'string', default: '' },
      only: { type: 'string', default: '' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      warm: { type: 'string' },
      'no-write': { type: 'boolean', default: false },
    },
  });
  const { quick } = values;
  return {
    quick,
    json: values.json,
    mongodbUri: values.mongodb,
    report: list(values.report),
    nodes: list(values.node),
    only: list(values.only),
    write: !values['no-write'] && !quick && values.only === '',
    rounds: whole(values.rounds, quick ? 2 : 5),
    seconds: whole(values.seconds, quick ? 1 : 4),
    warmSeconds: whole(values.warm, quick ? 1 : 10),
    connections: 64,
  };
}

const list = (text: string) => text.split(',').filter((item) => item !== '');

function whole(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`not a number of turns or seconds: ${text}`);
  return Number(text);
}
