import { mongo } from 'mongoose';
import { connectDatabase } from '../../src/platform/mongo/connection';
import { SENDING_METHODS } from '../../src/platform/mongo/request-commands';
import { shiftArguments } from './shifted-time';

type Method = (this: unknown, ...args: unknown[]) => unknown;

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
 * process: in what the service reads as `now`, and in the arguments of each method that sends a
 * command. The database has no clock that could be set.
 */
export function createMovableClock(): MovableClock {
  let shiftMs = 0;
  const collection = mongo.Collection.prototype as unknown as Record<string, Method>;
  for (const name of SENDING_METHODS) {
    const original = collection[name] as Method;
    collection[name] = function shifted(...args) {
      return original.apply(this, shiftMs === 0 ? args : shiftArguments(name, args, shiftMs));
    };
  }
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
