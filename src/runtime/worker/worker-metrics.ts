import { Gauge, type Registry } from 'prom-client';

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
  if (wanted === undefined) return;
  new Gauge({
    name: 'cluster_workers_wanted',
    help: 'Workers that should run.',
    aggregator: 'max',
    registers: [registry],
  }).set(wanted);
}
