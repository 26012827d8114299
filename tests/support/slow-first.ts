import Sequencer from '@jest/test-sequencer';

/**
 * The slowest test files. Jest knows durations only from an earlier run. On a fresh clone it sorts
 * by size, and a slow file that starts last runs while the other worker is idle. CPU-bound files
 * alternate with files that wait for processes.
 */
const SLOW = [
  'bench/ratio',
  'modules/events/mirror',
  'modules/auth/sessions/revocation-cluster',
  'runtime/supervision',
  'modules/auth/passwords/hash-cost',
  'app/cli/admin',
  'app/clocks',
  'modules/users/search/index-table',
  'app/permissions',
  'faults/chaos',
  'modules/admin-page/admin-page',
  'dev/loadtest/run',
  'modules/auth/keys/rotation',
  'platform/redis/deployments',
  'platform/cache/history',
  'deploy/edge',
  'runtime/pm2',
  'platform/cache/races',
  'dev/embedded-mongo/embedded',
  'platform/cache/crash',
  'platform/cache/model',
  'platform/cache/faults',
  'modules/auth/sign-in/login',
  'runtime/admission',
  'deploy/tracing',
  'platform/telemetry/tracing',
];
/** Tests of hosts, balancers and deadlines: concurrent tests would distort their measurements. */
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
