/**
 * Preloaded (`node --require`): shifts this process's wall clock by the ms that the file
 * CLOCK_SHIFT_FILE contains, as soon as it is written. This simulates setting the system clock:
 * Date jumps, the monotonic clock and the timers do not.
 */
import { readFileSync, watchFile } from 'node:fs';

const file = process.env['CLOCK_SHIFT_FILE'] ?? '';
let shiftMs = 0;
const realNow = Date.now;
const RealDate = Date;

class ShiftedDate extends RealDate {
  constructor(...args: unknown[]) {
    if (args.length === 0) super(realNow() + shiftMs);
    else super(...(args as [number]));
  }
  static override now(): number {
    return realNow() + shiftMs;
  }
}
// Libraries tell the type by its name.
Object.defineProperty(ShiftedDate, 'name', { value: 'Date' });
Object.assign(globalThis, { Date: ShiftedDate });

const read = () => {
  try {
    shiftMs = Number(readFileSync(file, 'utf8'));
  } catch {
    // Not written yet.
  }
};
read();
watchFile(file, { interval: 100, persistent: false }, read);
