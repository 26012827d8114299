import Sequencer from '@jest/test-sequencer';
import { SLOW_TESTS } from './slow-tests';

/** The slow files in their order. Jest knows durations only from an earlier run. */
class SlowFirst extends Sequencer {
  override async sort(tests: Parameters<Sequencer['sort']>[0]) {
    const rank = ({ path }: { path: string }) => {
      const place = SLOW_TESTS.findIndex((name) => path.endsWith(`/tests/${name}.test.js`));
      return place === -1 ? SLOW_TESTS.length : place;
    };
    return [...(await super.sort(tests))].sort((a, b) => rank(a) - rank(b));
  }
}

export default SlowFirst;
