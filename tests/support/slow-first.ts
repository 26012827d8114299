import Sequencer from '@jest/test-sequencer';

/**
 * The files that take longest. Jest knows durations only from a run before; on a fresh clone it goes by size, and a slow
 * file, started last, runs on while the other worker idles. Those that compute stand beside those that wait for processes.
 */
const SLOW = [
  'cluster/revocation',
  'cluster/supervision',
  'cluster/rotation',
  'integration/cache-topologies',
  'integration/cache-history',
  'deploy/edge',
  'cluster/pm2',
  'integration/cache-races',
  'integration/embedded',
  'integration/cache-crash',
  'unit/cache-model',
  'integration/cache-faults',
  'api/login',
  'cluster/admission',
];
/** Hosts, balancers and their deadlines: what runs beside it would be measured too. */
const ALONE = 'deploy/hosts';

class SlowFirst extends Sequencer {
  override async sort(tests: Parameters<Sequencer['sort']>[0]) {
    const rank = ({ path }: { path: string }) => {
      if (path.endsWith(`${ALONE}.test.js`)) return SLOW.length + 1;
      const place = SLOW.findIndex((name) => path.endsWith(`${name}.test.js`));
      return place === -1 ? SLOW.length : place;
    };
    return [...(await super.sort(tests))].sort((a, b) => rank(a) - rank(b));
  }
}

export default SlowFirst;
