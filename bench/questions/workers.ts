import type { Question } from '../bench';
import { ours } from '../contestants';
import { allowedCpus } from '../cpus';
import { profileReads } from './profile-reads';

/**
 * One worker against two, the load on other cores. More than half of the cores cannot be measured
 * from the same machine.
 */
export const workers: Question = {
  id: 'workers',
  title: 'Profile reads with 1 and 2 workers',
  quick: false,
  async ask(bench) {
    const most = Math.floor(allowedCpus().length / 2);
    // Whole runs of each in turn, since workers cannot be added to a service that stands.
    for (let round = 0; round < Math.min(3, bench.options.rounds); round += 1) {
      for (let count = 1; count <= most; count *= 2) {
        // The same cores carry the load in both cases.
        await bench.withField([ours], { workers: count, cpusOf: most }, async (field) => {
          for (const standing of field) {
            const traffic = profileReads(standing);
            await bench.warm({ standing, traffic });
            const perSecond = await bench.closed(standing, traffic, { connections: 128 });
            bench.record(
              {
                question: 'workers',
                name: `${count} ${count === 1 ? 'worker' : 'workers'}`,
                unit: 'req/s',
              },
              standing,
              perSecond,
            );
            bench.record(
              { question: 'workers', name: `memory per worker, of ${count}`, unit: 'MB' },
              standing,
              standing.workerMegabytes(),
            );
          }
        });
      }
    }
  },
};
