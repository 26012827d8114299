import { Gauge, Registry } from 'prom-client';
import type { Fleet } from './fleet';

/** What only the primary knows, read at the moment of asking. */
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
  const beats = () => supervisor.workers().flatMap(({ lastBeat }) => lastBeat ?? []);
  gauge('cluster_workers_wanted', 'Workers that should run.', supervisor.wanted);
  gauge('cluster_workers_ready', 'Workers that are ready.', supervisor.readyCount);
  gauge('cluster_worker_deaths', 'Workers that ended without being asked to, since the primary started.', restarts.total);
  gauge(
    'cluster_restart_pause_seconds',
    'Time until the next worker may be started; 0 when nothing holds it back.',
    () => restarts.pauseMs() / 1000,
  );
  gauge('cluster_connections_waiting', 'Connections that wait for a worker.', () => distributor.state().waiting);
  gauge('cluster_connections_accepted', 'Connections accepted, since the primary started.', () => distributor.state().accepted);
  gauge(
    'cluster_connections_refused',
    'Connections closed because no worker took them, since the primary started.',
    () => distributor.state().refused,
  );
  gauge('cluster_worker_loop_delay_p99_seconds_max', 'Highest p99 of the event-loop delay over the workers, last heartbeat.', () =>
    Math.max(0, ...beats().map(({ delayP99Ms }) => delayP99Ms / 1000)),
  );
  gauge('cluster_worker_heap_bytes_max', 'Largest used heap over the workers, last heartbeat.', () =>
    Math.max(0, ...beats().map(({ heapUsedMb }) => heapUsedMb * 1024 * 1024)),
  );
  return registry;
}
