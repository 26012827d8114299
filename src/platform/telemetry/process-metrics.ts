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
  exposeHighest(metrics, 'process_open_fds', 'Number of open file descriptors.');
  exposeHighest(metrics, 'process_max_fds', 'Maximum number of open file descriptors.');
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

/**
 * Each process has the limit of files for itself: in prom-client's sum, one that is near it would
 * not be seen.
 */
function exposeHighest(metrics: Metrics, name: string, help: string): void {
  const summed = metrics.getSingleMetric(name);
  if (summed === undefined) return;
  metrics.removeSingleMetric(name);
  new Gauge({
    ...{ name, help, aggregator: 'max', registers: [metrics] },
    async collect() {
      for (const { value } of (await summed.get()).values) this.set(value);
    },
  });
}
