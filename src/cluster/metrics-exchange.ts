import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, type Registry } from 'prom-client';
import type { Closable } from '../lifecycle';

/**
 * How the metrics of all workers become one answer, whoever is the primary: each worker offers its numbers on a socket
 * in the runtime folder (`<id>-<pid>.sock`), and who is asked for the sum asks them all. A counter must never fall, or
 * Prometheus takes it for a restart of the whole service: so a worker that ends leaves its last counters in a file, and
 * of one that was killed the last numbers seen are kept.
 */
type Metric = MetricObjectWithValues<MetricValue<string>>;
type Snapshot = readonly Metric[];

interface Retired {
  /** Whose counters are in it. */
  readonly names: readonly string[];
  readonly metrics: Snapshot;
}

const SOCKET = /^(\d+-(\d+))\.sock$/;
const RETIRED = /^retired-\d+-\d+\.json$/;
const SNAPSHOT_MAX = 8 * 1024 * 1024;

const countersOf = (metrics: Snapshot): Metric[] => metrics.filter(({ type }) => String(type) !== 'gauge');

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

function readRetired(path: string): Retired {
  return JSON.parse(readFileSync(path, 'utf8')) as Retired;
}

function sum(snapshots: readonly Snapshot[]): Metric[] {
  const registry = AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot]));
  return registry.getMetricsAsArray() as unknown as Metric[];
}

function ask(path: string, timeoutMs: number): Promise<Snapshot> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const parts: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => socket.destroy(new Error(`no metrics within ${timeoutMs} ms`)), timeoutMs);
    socket.on('data', (part: Buffer) => {
      parts.push(part);
      size += part.length;
      if (size > SNAPSHOT_MAX) socket.destroy(new Error('too many metrics'));
    });
    socket.once('error', reject);
    socket.once('end', () => {
      try {
        resolve(JSON.parse(Buffer.concat(parts).toString()) as Snapshot);
      } catch (error) {
        reject(error);
      }
    });
    socket.once('close', () => clearTimeout(timer));
  });
}

export interface Collector {
  /** The sum over all workers, in Prometheus' text format, `extra` included. */
  collect(extra?: Registry): Promise<{ readonly text: string; readonly contentType: string; readonly silent: number }>;
}

/** The asker's side. `timeoutMs` bounds the wait for the slowest worker. */
export function createCollector(dir: string, timeoutMs: number): Collector {
  const lastSeen = new Map<string, Metric[]>();

  function retired(): Retired[] {
    return readdirSync(dir)
      .filter((file) => RETIRED.test(file))
      .flatMap((file) => {
        try {
          return [readRetired(join(dir, file))];
        } catch {
          return [];
        }
      });
  }

  return {
    async collect(extra) {
      const live = liveWorkers(dir);
      const answers = await Promise.allSettled(live.map((name) => ask(join(dir, `${name}.sock`), timeoutMs)));
      const left = retired();
      const ended = new Set(left.flatMap(({ names }) => names));
      for (const name of ended) lastSeen.delete(name);
      const snapshots: Snapshot[] = [];
      const heard = new Set<string>();
      for (const [index, answer] of answers.entries()) {
        const name = live[index] ?? '';
        // One that ended meanwhile is already in what it has left behind.
        if (answer.status === 'rejected' || ended.has(name)) continue;
        heard.add(name);
        snapshots.push(answer.value);
        lastSeen.set(name, countersOf(answer.value));
      }
      for (const { metrics } of left) snapshots.push(metrics);
      for (const [name, counters] of lastSeen) if (!heard.has(name)) snapshots.push(counters);
      if (extra !== undefined) snapshots.push((await extra.getMetricsAsJSON()) as unknown as Snapshot);
      const registry = AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot]));
      return { text: await registry.metrics(), contentType: registry.contentType, silent: live.length - heard.size };
    },
  };
}
