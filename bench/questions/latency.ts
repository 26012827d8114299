import type { Bench, Question } from '../bench';
import { everyone, fastify, ours } from '../contestants';
import type { Standing } from '../field';
import { quantile } from '../load/histogram';
import type { Traffic } from '../load/traffic';
import { profileReads } from './profile-reads';

const SHARE = 0.6;
const QUANTILES = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p99.9', 0.999],
] as const;

/**
 * Open loop, so that a slow response does not delay the next request. Two rates: 60 % of the
 * slowest contestant's peak, which all can serve; and 60 % of the lower peak of Fastify and this
 * service, which loads these two.
 */
export const latency: Question = {
  id: 'latency',
  title: 'Latency at 60 % load, open loop',
  quick: true,
  ask: (bench) =>
    bench.withField(everyone, {}, async (field) => {
      const runs = field.map((standing) => ({
        standing,
        traffic: profileReads(standing),
        peak: 0,
      }));
      for (const run of runs) {
        await bench.warm(run);
        run.peak = await bench.closed(run.standing, run.traffic, {
          seconds: Math.min(2, bench.options.seconds),
        });
      }
      const slowest = (some: typeof runs) =>
        Math.round(SHARE * Math.min(...some.map(({ peak }) => peak)));
      for (const { major } of bench.runtimes) {
        const all = runs.filter(({ standing }) => standing.runtime.major === major);
        const two = all.filter(({ standing }) =>
          [fastify.id, ours.id].includes(standing.contestant.id),
        );
        for (let round = 0; round < bench.options.rounds; round += 1) {
          for (const run of all) await turn(bench, run, slowest(all), 'at 60 % of the slowest');
          for (const run of two) await turn(bench, run, slowest(two), 'at 60 % of (c) or (e)');
        }
      }
    }),
};

async function turn(
  bench: Bench,
  run: { standing: Standing; traffic: Traffic },
  rate: number,
  load: string,
): Promise<void> {
  const result = await bench.open(run.standing, run.traffic, rate);
  bench.record({ question: 'latency', name: `rate ${load}`, unit: 'req/s' }, run.standing, rate);
  for (const [name, share] of QUANTILES) {
    bench.record(
      { question: 'latency', name: `${name} ${load}`, unit: 'ms' },
      run.standing,
      quantile(result.latency, share),
    );
  }
}
