/**
 * Preloaded (`node --require`): the planted fault of the clock scenarios. Every process uses its
 * own clock instead of the database's.
 */
import * as clock from '../../src/platform/mongo/clock';

const own: typeof clock.startClock = async () => ({
  now: Date.now,
  offsetMs: () => 0,
  close: async () => {},
});
Object.assign(clock, { startClock: own });
