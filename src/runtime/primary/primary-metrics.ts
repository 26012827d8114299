import { Counter, Gauge, Registry } from 'prom-client';
import type { Fleet } from './fleet';

/** Metrics of the primary itself, read at each scrape. */
export function createPrimaryMetrics({ supervisor, distributor, restarts }: Fleet): Registry {
  const registry = new Registry();
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  const beats = () => supervisor.workers().flatMap(({ lastBeat }) => lastBeat ?? []);
  gauge('cluster_workers_wanted', 'Workers that should run.', supervisor.wanted);
  gauge('cluster_workers_ready', 'Workers that are ready.', supervisor.readyCount);
  counter('cluster_worker_deaths_total', 'Workers that exited unexpectedly.', restarts.total);
  gauge(
    'cluster_restart_pause_seconds',
    'Time until the next worker may be started; 0 when there is no backoff.',
    () => restarts.pauseMs() / 1000,
  );
  gauge(
    'cluster_connections_waiting',
    'Connections that wait for a worker.',
    () => distributor.state().waiting,
  );
  counter(
    'cluster_connections_accepted_total',
    'Connections accepted.',
    () => distributor.state().accepted,
  );
  counter(
    'cluster_connections_refused_total',
    'Connections answered with 503 because no worker accepted them.',
    () => distributor.state().refused,
  );
  gauge(
    'cluster_worker_loop_delay_p99_seconds_max',
    'Highest p99 of the event-loop delay over the workers, last heartbeat.',
    () => Math.max(0, ...beats().map(({ delayP99Ms }) => delayP99Ms / 1000)),
  );
  gauge(
    'cluster_worker_heap_bytes_max',
    'Largest used heap over the workers, last heartbeat.',
    () => Math.max(0, ...beats().map(({ heapUsedMb }) => heapUsedMb * 1024 * 1024)),
  );
  return registry;
}
