import Sequencer from '@jest/test-sequencer';

/**
 * The files that take longest, in this order. Jest knows durations only from a run before; on a fresh clone it goes by
 * size, and the slowest file, started last, then runs alone while the other worker idles: 323 s instead of 270 s on 2 cores.
 */
const SLOW = [
  'cluster/revocation',
  'deploy/hosts',
  'integration/cache-history',
  'integration/cache-races',
  'api/login',
  'cluster/supervision',
  'cluster/rotation',
  'integration/cache-topologies',
  'integration/cache-crash',
  'unit/cache-model',
  'integration/cache-faults',
  'deploy/edge',
  'integration/embedded',
  'cluster/pm2',
];

class SlowFirst extends Sequencer {
  override sort(tests: Parameters<Sequencer['sort']>[0]) {
    const rank = ({ path }: { path: string }) => {
      const place = SLOW.findIndex((name) => path.endsWith(`${name}.test.js`));
      return place === -1 ? SLOW.length : place;
    };
    return [...super.sort(tests)].sort((a, b) => rank(a) - rank(b));
  }
}

export default SlowFirst;
