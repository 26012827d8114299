/**
 * Preloaded (`node --require`): the planted fault of the event scenarios. The pump looks for events
 * once a second.
 */
import { setTimeout as pause } from 'node:timers/promises';
import * as mover from '../../src/platform/event-log/mover';

const { createMover } = mover;

const slow: typeof createMover = (...dependencies) => {
  const real = createMover(...dependencies);
  return {
    ...real,
    async round() {
      await pause(1000);
      return real.round();
    },
  };
};
Object.assign(mover, { createMover: slow });
