import { connect } from 'node:net';
import { join } from 'node:path';
import { AggregatorRegistry, type Registry } from 'prom-client';
import { liveWorkers } from './exchange';
import { readRetired, readTold, type Snapshot } from './metrics-files';

const SNAPSHOT_MAX = 8 * 1024 * 1024;

function ask(path: string, timeoutMs: number): Promise<Snapshot> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const parts: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(
      () => socket.destroy(new Error(`no metrics within ${timeoutMs} ms`)),
      timeoutMs,
    );
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
  collect(
    extra?: Registry,
  ): Promise<{ readonly text: string; readonly contentType: string; readonly silent: number }>;
  /** The same sum as values. */
  values(extra?: Registry): Promise<Snapshot>;
}

/** The side of the scraped process. `timeoutMs` bounds the wait for the slowest worker. */
export function createCollector(dir: string, timeoutMs: number): Collector {
  async function askLive(): Promise<{ heard: Map<string, Snapshot>; silent: number }> {
    const live = liveWorkers(dir);
    const answers = await Promise.allSettled(
      live.map((name) => ask(join(dir, `${name}.sock`), timeoutMs)),
    );
    const heard = new Map<string, Snapshot>();
    for (const [index, answer] of answers.entries())
      if (answer.status === 'fulfilled') heard.set(live[index] ?? '', answer.value);
    return { heard, silent: answers.filter(({ status }) => status === 'rejected').length };
  }

  async function sum(extra: Registry | undefined) {
    // In this order: a told file is removed only when a retired one holds its counters.
    const told = readTold(dir);
    const { heard, silent } = await askLive();
    const left = readRetired(dir);
    const ended = new Set(left.flatMap(({ names }) => names));
    const now = [...heard].filter(([name]) => !ended.has(name)).map(([, snapshot]) => snapshot);
    const missed = [...told]
      .filter(([name]) => !heard.has(name) && !ended.has(name))
      .map(([, counters]) => counters);
    const own = extra === undefined ? [] : [await extra.getMetricsAsJSON()];
    const snapshots = [...now, ...left.map(({ metrics }) => metrics), ...missed, ...own];
    const registry = AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot]));
    return { registry, silent };
  }

  return {
    async collect(extra) {
      const { registry, silent } = await sum(extra);
      return { text: await registry.metrics(), contentType: registry.contentType, silent };
    },
    values: async (extra) => (await sum(extra)).registry.getMetricsAsJSON(),
  };
}
