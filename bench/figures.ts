import { type Spread, spread } from './stats';

/**
 * One measured series. Series of one question and Node version were taken turn by turn, so the n-th
 * samples belong together.
 */
export interface Figure {
  readonly question: string;
  /** The measured quantity, e.g. `requests`, `p99`, `1,000 ids`. */
  readonly name: string;
  readonly unit: 'req/s' | 'lines/s' | 'ms' | 'MB' | '×' | 'µs';
  readonly contestant: string;
  /** Node's major version. */
  readonly node: string;
  readonly samples: number[];
}

export interface Figures {
  readonly all: readonly Figure[];
  add(key: Omit<Figure, 'samples'>, sample: number): void;
  find(question: string, name: string, contestant: string, node: string): Figure | undefined;
}

export function createFigures(): Figures {
  const all: Figure[] = [];
  const find: Figures['find'] = (question, name, contestant, node) =>
    all.find(
      (one) =>
        one.question === question &&
        one.name === name &&
        one.contestant === contestant &&
        one.node === node,
    );
  return {
    all,
    find,
    add(key, sample) {
      if (!Number.isFinite(sample))
        throw new Error(`${key.question}, ${key.name}, ${key.contestant}: not a number`);
      const known = find(key.question, key.name, key.contestant, key.node);
      if (known === undefined) all.push({ ...key, samples: [sample] });
      else known.samples.push(sample);
    },
  };
}

const digits = (value: number) => (value >= 100 ? 0 : value >= 10 ? 1 : 2);
export const show = (value: number): string =>
  value.toLocaleString('en', {
    maximumFractionDigits: digits(value),
    minimumFractionDigits: digits(value),
  });

export function showSpread(samples: readonly number[]): {
  min: string;
  median: string;
  max: string;
} {
  const { min, median, max }: Spread = spread(samples);
  return { min: show(min), median: show(median), max: show(max) };
}
