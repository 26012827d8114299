import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, type Registry } from 'prom-client';
import type { Closable } from '../lifecycle';

/**
 * How the metrics of all workers become one answer, whoever is the primary: each worker offers its numbers on a socket
 * in the runtime folder (`<id>-<pid>.sock`), and who is asked for the sum asks them all. A counter must never fall, or
 * Prometheus takes it for a restart of the whole service: so a worker that ends leaves its last counters in a file, and
 * of one that was killed the last numbers seen are kept.
 */
export type Metric = MetricObjectWithValues<MetricValue<string>>;
export type Snapshot = readonly Metric[];

export interface Retired {
  /** Whose counters are in it. */
  readonly names: readonly string[];
  readonly metrics: Snapshot;
}

/** The file name of a worker's socket. */
const SOCKET = /^(\d+-(\d+))\.sock$/;
export const RETIRED = /^retired-\d+-\d+\.json$/;

export const countersOf = (metrics: Snapshot): Metric[] => metrics.filter(({ type }) => String(type) !== 'gauge');

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Names of the workers that offer metrics and whose process exists. Cheap: no connection is made. */
export function liveWorkers(dir: string): string[] {
  return readdirSync(dir).flatMap((file) => {
    const [, name, pid] = SOCKET.exec(file) ?? [];
    return name !== undefined && isAlive(Number(pid)) ? [name] : [];
  });
}

/** The worker's side. Its `close` leaves the counters behind. */
export async function offerMetrics(dir: string, id: number, registry: Registry): Promise<Closable> {
  const name = `${id}-${process.pid}`;
  const path = join(dir, `${name}.sock`);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    registry.getMetricsAsJSON().then(
      (metrics) => socket.end(JSON.stringify(metrics)),
      () => socket.destroy(),
    );
  });
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  server.on('error', () => {});
  return {
    async close() {
      const own = countersOf(await registry.getMetricsAsJSON());
      leaveCounters(dir, name, own);
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Merges the counters with what others have left, so that there is one file and not one per worker ever run. */
function leaveCounters(dir: string, name: string, own: Snapshot): void {
  const claimed = readdirSync(dir)
    .filter((file) => RETIRED.test(file))
    .flatMap((file) => {
      const mine = join(dir, `claim-${name}-${file}`);
      try {
        // Of two workers that end at the same time only one can rename the file.
        renameSync(join(dir, file), mine);
        return [{ path: mine, retired: readRetired(mine) }];
      } catch {
        return [];
      }
    });
  const names = [name, ...claimed.flatMap(({ retired }) => retired.names)];
  const metrics = sum([own, ...claimed.map(({ retired }) => retired.metrics)]);
  writeFileSync(join(dir, `new-${name}`), JSON.stringify({ names, metrics } satisfies Retired));
  renameSync(join(dir, `new-${name}`), join(dir, `retired-${name}.json`));
  for (const { path } of claimed) rmSync(path, { force: true });
}

export function readRetired(path: string): Retired {
  return JSON.parse(readFileSync(path, 'utf8')) as Retired;
}

function sum(snapshots: readonly Snapshot[]): Metric[] {
  const registry = AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot]));
  return registry.getMetricsAsArray() as unknown as Metric[];
}
