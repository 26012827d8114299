import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { allowedCpus } from './cpus';
import { cpuMs, tree } from './processes';

/** Work of others while something was measured, in processors. */
export interface Disturbance {
  /** Processes that are not of this run. */
  readonly others: number;
  /** Taken by the hypervisor for other machines. */
  readonly stolen: number;
}

/** A tenth of a processor moves a ratio by less than the spread of its turns. */
const MOST_OTHERS = 0.2;
const MOST_STOLEN = 0.1;
const TICK_MS = 10;

export const isBusy = ({ others, stolen }: Disturbance): boolean =>
  others > MOST_OTHERS || stolen > MOST_STOLEN;

export const showDisturbance = ({ others, stolen }: Disturbance): string =>
  `others used ${others.toFixed(1)} processors${stolen >= 0.05 ? `, and ${stolen.toFixed(1)} were stolen` : ''}`;

interface Times {
  readonly atMs: number;
  readonly busyMs: number;
  readonly stolenMs: number;
  readonly ownMs: number;
}

/** Busy and stolen time of these processors, in ms, from the text of /proc/stat. */
export function processorTimes(
  text: string,
  cpus: readonly number[],
): { readonly busyMs: number; readonly stolenMs: number } {
  let [busy, stolen] = [0, 0];
  for (const [, cpu, fields = ''] of text.matchAll(/^cpu(\d+) (.+)$/gm)) {
    if (!cpus.includes(Number(cpu))) continue;
    const [user = 0, nice = 0, system = 0, , , irq = 0, soft = 0, steal = 0] = fields
      .split(' ')
      .map(Number);
    busy += user + nice + system + irq + soft;
    stolen += steal;
  }
  return { busyMs: busy * TICK_MS, stolenMs: stolen * TICK_MS };
}

/** This run's own processor time, with that of its children that have ended. */
function ownMs(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return cpuMs(tree(process.pid)) + (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

function times(): Times {
  const text = readFileSync('/proc/stat', 'utf8');
  return { atMs: performance.now(), ...processorTimes(text, allowedCpus()), ownMs: ownMs() };
}

/**
 * Measures from now until the call of the result. Without /proc: the load average, less one for
 * each processor that this run may keep busy.
 */
export function watchDisturbance(): () => Disturbance {
  const before = attempt(times);
  return () => {
    const after = attempt(times);
    if (before === undefined || after === undefined)
      return { others: Math.max(0, (loadavg()[0] ?? 0) - allowedCpus().length), stolen: 0 };
    const elapsedMs = Math.max(1, after.atMs - before.atMs);
    const own = after.ownMs - before.ownMs;
    return {
      others: Math.max(0, after.busyMs - before.busyMs - own) / elapsedMs,
      stolen: Math.max(0, after.stolenMs - before.stolenMs) / elapsedMs,
    };
  };
}

/** A process may end while its tree is read. */
function attempt<T>(read: () => T): T | undefined {
  for (let tries = 0; tries < 3; tries += 1) {
    try {
      return read();
    } catch {
      // Read again.
    }
  }
  return undefined;
}
