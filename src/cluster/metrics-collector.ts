import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { AggregatorRegistry, type Registry } from 'prom-client';
import { countersOf, liveWorkers, type Metric, RETIRED, type Retired, readRetired, type Snapshot } from './metrics-exchange';

const SNAPSHOT_MAX = 8 * 1024 * 1024;

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

  /** Asks every worker; one that ended meanwhile is already in what it has left behind. */
  async function hearLive(ended: () => ReadonlySet<string>): Promise<{ heard: Map<string, Snapshot>; silent: number }> {
    const live = liveWorkers(dir);
    const answers = await Promise.allSettled(live.map((name) => ask(join(dir, `${name}.sock`), timeoutMs)));
    const gone = ended();
    const heard = new Map<string, Snapshot>();
    for (const [index, answer] of answers.entries()) {
      const name = live[index] ?? '';
      if (answer.status === 'fulfilled' && !gone.has(name)) heard.set(name, answer.value);
    }
    return { heard, silent: answers.filter(({ status }) => status === 'rejected').length };
  }

  return {
    async collect(extra) {
      let left: Retired[] = [];
      const { heard, silent } = await hearLive(() => {
        left = retired();
        return new Set(left.flatMap(({ names }) => names));
      });
      for (const name of left.flatMap(({ names }) => names)) lastSeen.delete(name);
      for (const [name, snapshot] of heard) lastSeen.set(name, countersOf(snapshot));
      const missed = [...lastSeen].filter(([name]) => !heard.has(name)).map(([, counters]) => counters);
      const own = extra === undefined ? [] : [await extra.getMetricsAsJSON()];
      const snapshots = [...heard.values(), ...left.map(({ metrics }) => metrics), ...missed, ...own];
      const registry = AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot]));
      return { text: await registry.metrics(), contentType: registry.contentType, silent };
    },
  };
}
