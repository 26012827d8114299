import { Counter, Gauge } from 'prom-client';
import type { Metrics } from '../telemetry/metrics';

/** Exposes the requests in flight; returns the counter of shed ones. */
export function exposeShedding(metrics: Metrics, inFlight: () => number): Counter<'reason'> {
  new Gauge({
    name: 'http_requests_in_flight',
    help: 'Requests in flight, over all workers.',
    registers: [metrics],
    collect() {
      this.set(inFlight());
    },
  });
  const counter = new Counter({
    name: 'http_requests_shed_total',
    help: 'Requests refused because of overload.',
    labelNames: ['reason'],
    registers: [metrics],
  });
  for (const reason of ['in_flight', 'loop']) counter.inc({ reason }, 0);
  return counter;
}
