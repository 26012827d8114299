import { Gauge, type Registry } from 'prom-client';
import { measureLoopDelay } from './heartbeat';

/** The values of heartbeats, since the last scrape. */
function exposeLoad(registry: Registry): void {
  const delay = measureLoopDelay();
  const highest = { aggregator: 'max' as const, registers: [registry] };
  new Gauge({
    name: 'cluster_worker_loop_delay_p99_seconds_max',
    help: 'Highest p99 of the event-loop delay over the workers.',
    ...highest,
    collect() {
      this.set(delay.takeP99Ms() / 1000);
    },
  });
  new Gauge({
    name: 'cluster_worker_heap_bytes_max',
    help: 'Largest used heap over the workers.',
    ...highest,
    collect() {
      this.set(process.memoryUsage().heapUsed);
    },
  });
}

/**
 * The gauges of the primary (primary-metrics.ts) for workers without one: each worker counts itself
 * and knows the wanted number.
 */
export function exposeWorkers(
  registry: Registry,
  wanted: number | undefined,
  isReady: () => boolean,
): void {
  new Gauge({
    name: 'cluster_workers_ready',
    help: 'Workers that are ready.',
    registers: [registry],
    collect() {
      this.set(isReady() ? 1 : 0);
    },
  });
  exposeLoad(registry);
  if (wanted === undefined) return;
  new Gauge({
    name: 'cluster_workers_wanted',
    help: 'Workers that should run.',
    aggregator: 'max',
    registers: [registry],
  }).set(wanted);
}
