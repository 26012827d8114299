import { Connection } from 'mongodb/lib/cmap/connection';
import { connectDatabase } from '../../src/platform/mongo/connection';
import { asksForTime, shiftCommand } from './command-time';

export interface MovableClock {
  /** Ms since the epoch, as the service sees it. */
  now(): number;
  advance(ms: number): void;
  set(timeMs: number): void;
  reset(): void;
  /** Connects with this clock instead of the database's own. */
  readonly openDatabase: typeof connectDatabase;
}

/**
 * Moves the database's time, by which the service decides (docs/adr/0010-clocks.md), for this
 * process: in what the service reads as `now`, and in each command that it sends. The database has
 * no clock that could be set.
 */
export function createMovableClock(): MovableClock {
  let shiftMs = 0;
  const { prepareCommand } = Connection.prototype;
  Connection.prototype.prepareCommand = function prepare(database, command, options) {
    const isAsIs = shiftMs === 0 || asksForTime(command);
    const sent = isAsIs ? command : { ...shiftCommand(command, shiftMs) };
    return prepareCommand.call(this, database, sent, options);
  };
  const now = () => Date.now() + shiftMs;
  return {
    now,
    advance(ms) {
      shiftMs += ms;
    },
    set(timeMs) {
      shiftMs += timeMs - now();
    },
    reset() {
      shiftMs = 0;
    },
    async openDatabase(uri, settings, log) {
      const database = await connectDatabase(uri, settings, log);
      const { clock } = database;
      return { ...database, clock: { ...clock, now: () => clock.now() + shiftMs } };
    },
  };
}
