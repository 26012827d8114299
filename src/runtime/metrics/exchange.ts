import { readdirSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import type { Closable } from '../../kernel/lifecycle';
import { isAlive } from '../alive';
import { listening } from '../listening';
import {
  countersOf,
  isGauge,
  leaveCounters,
  type Metric,
  type Snapshot,
  storeTold,
} from './metrics-files';

/**
 * The metrics of all workers become one answer, under our primary and under PM2: each worker offers
 * its metrics on a socket in the runtime folder (`<id>-<pid>.sock`), and the process that answers a
 * scrape asks them all (docs/adr/0020-metrics-are-summed.md). metrics-files.ts keeps the counters of
 * workers that have ended.
 */

/** The file name of a worker's socket. */
const SOCKET = /^(\d+-(\d+))\.sock$/;
const STEPS_PER_UNIT = 2 ** 20;

/**
 * Rounds counters down to multiples of 2^-20: sums of such numbers below 2^33 are exact in any
 * order. The order of the sum over workers changes when one of them exits, and a counter that is
 * lower by a rounding error counts as a restart.
 */
const inSteps = (metrics: Snapshot): Metric[] =>
  metrics.map((metric) => {
    if (isGauge(metric)) return metric;
    const values = metric.values.map((one) => ({
      ...one,
      value: Math.floor(one.value * STEPS_PER_UNIT) / STEPS_PER_UNIT,
    }));
    return { ...metric, values };
  });

/**
 * Names of the workers that offer metrics and whose process exists. Cheap: no connection is made.
 */
export function liveWorkers(dir: string): string[] {
  return readdirSync(dir).flatMap((file) => {
    const [, name, pid] = SOCKET.exec(file) ?? [];
    return name !== undefined && isAlive(Number(pid)) ? [name] : [];
  });
}

/** The worker's side. `close` stores its counters for later scrapes. */
export async function offerMetrics(dir: string, id: number, registry: Registry): Promise<Closable> {
  const name = `${id}-${process.pid}`;
  const path = join(dir, `${name}.sock`);
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => {});
    registry
      .getMetricsAsJSON()
      .then((exact) => {
        const metrics = inSteps(exact);
        storeTold(dir, name, countersOf(metrics));
        socket.end(JSON.stringify(metrics));
      })
      .catch(() => socket.destroy());
  });
  rmSync(path, { force: true });
  await listening(server, { path });
  server.on('error', () => {});
  return {
    async close() {
      const own = inSteps(countersOf(await registry.getMetricsAsJSON()));
      await leaveCounters(dir, name, own);
      await new Promise((resolve) => {
        server.close(resolve);
        // A reader that is frozen would hold up the end of this process.
        for (const socket of open) socket.destroy();
      });
    },
  };
}
