import bcrypt from 'bcrypt';
import { randomToken } from '../../../kernel/crypto/random';
import { dummyOf } from './formats/registry';
import { BCRYPT_MAX_COST, BCRYPT_MIN_COST } from './password-rules';

/** Counts the work of checks in bcrypt rounds, whatever algorithm does it. */
export interface WorkMeter {
  /** The work of one check with these parameters. undefined: invalid, or not measured yet. */
  roundsOf(parameters: string): number | undefined;
  /** Measures parameters whose work is not known exactly, against bcrypt on this machine. */
  measure(parameters: string): Promise<void>;
  /** Does that many rounds, to the nearest multiple of 2^BCRYPT_MIN_COST. */
  spend(rounds: number): Promise<void>;
}

const NO_PASSWORD = 'no such password';
/** bcrypt at the lower of these costs takes about 15 ms, at the higher about 250 ms. */
const YARDSTICK = { minCost: 8, maxCost: 12 };
/** The median of so many ratios counts: one that a busy machine distorts does not. */
const MEASUREMENTS = 7;

export function createWorkMeter(): WorkMeter {
  const hashOf = impossibleHashes();
  const ratios = new Map<string, number[]>();

  const timeMs = async (work: () => Promise<unknown>) => {
    const start = performance.now();
    await work();
    return performance.now() - start;
  };
  const medianOf = (parameters: string) => median(ratios.get(parameters));

  return {
    roundsOf(parameters) {
      const exact = dummyOf(parameters)?.rounds;
      return exact ?? medianOf(parameters);
    },

    async measure(parameters) {
      const dummy = dummyOf(parameters);
      if (dummy === undefined || dummy.rounds !== undefined) return;
      // bcrypt for about as long, before and after: a busy machine delays both alike.
      const cost = yardstickCost(medianOf(parameters));
      const yardstickMs = () => timeMs(() => bcrypt.compare(NO_PASSWORD, hashOf(cost)));
      const before = await yardstickMs();
      const checkMs = await timeMs(() => dummy.matches(NO_PASSWORD));
      const perRoundMs = (before + (await yardstickMs())) / 2 / 2 ** cost;
      const known = ratios.get(parameters) ?? [];
      ratios.set(parameters, [...known, checkMs / perRoundMs].slice(-MEASUREMENTS));
    },

    async spend(rounds) {
      const least = 2 ** BCRYPT_MIN_COST;
      let left = Math.max(0, Math.round(rounds / least) * least);
      for (let cost = BCRYPT_MAX_COST; cost >= BCRYPT_MIN_COST; cost -= 1) {
        for (; left >= 2 ** cost; left -= 2 ** cost)
          await bcrypt.compare(NO_PASSWORD, hashOf(cost));
      }
    },
  };
}

function yardstickCost(rounds: number | undefined): number {
  const cost = Math.round(Math.log2(rounds ?? 1));
  return Math.min(YARDSTICK.maxCost, Math.max(YARDSTICK.minCost, cost));
}

function median(values: readonly number[] | undefined): number | undefined {
  return values?.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** A well-formed hash of no known password for each cost: 31 random characters as the digest. */
function impossibleHashes(): (cost: number) => string {
  const made = new Map<number, string>();
  return (cost) => {
    const known = made.get(cost);
    if (known !== undefined) return known;
    const digest = randomToken(31).replaceAll(/[-_]/g, '.').slice(0, 31);
    const hash = `${bcrypt.genSaltSync(cost)}${digest}`;
    made.set(cost, hash);
    return hash;
  };
}
