import { performance } from 'node:perf_hooks';
import { Counter, collectDefaultMetrics, Gauge } from 'prom-client';
import type { Metrics } from './metrics';

/**
 * Adds `process_*` and `nodejs_*` (processor time, memory, event-loop lag, garbage collection) and
 * the build version.
 */
export function exposeProcess(metrics: Metrics, version: string): void {
  collectDefaultMetrics({ register: metrics });
  // These are gauges, and the suffix `_total` is for counters. The gauges by kind have the same
  // numbers.
  for (const kind of ['handles', 'requests', 'resources'])
    metrics.removeSingleMetric(`nodejs_active_${kind}_total`);
  // Each process has the limit for itself: in a sum, one that is near it would not be seen.
  for (const name of ['process_open_fds', 'process_max_fds'])
    Object.assign(metrics.getSingleMetric(name) ?? {}, { aggregator: 'max' });
  new Counter({
    name: 'nodejs_eventloop_active_seconds_total',
    help: 'Time in which the event loop did not wait for work.',
    registers: [metrics],
    collect() {
      this.reset();
      this.inc(performance.eventLoopUtilization().active / 1000);
    },
  });
  new Gauge({
    name: 'service_build_info',
    help: '1, with the versions of the service and of Node as labels.',
    labelNames: ['version', 'node'],
    aggregator: 'first',
    registers: [metrics],
  }).set({ version, node: process.version }, 1);
}
