import { Counter, Gauge, Histogram } from 'prom-client';
import type { Metrics } from '../../../platform/telemetry/metrics';

/** Buckets in seconds: bcrypt at cost 10 takes about 0.05, at cost 12 about 0.2. */
const BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** `waiting`: how many hashes wait now. */
export function measureHashes(metrics: Metrics, waiting: () => number) {
  const registers = [metrics];
  new Gauge({
    name: 'auth_hash_queue_length',
    help: 'Password hashes waiting for a thread.',
    registers,
    collect() {
      this.set(waiting());
    },
  });
  const waitSeconds = new Histogram({
    name: 'auth_hash_wait_seconds',
    help: 'Time that a password hash waited in the queue.',
    buckets: BUCKETS,
    registers,
  });
  const workSeconds = new Histogram({
    name: 'auth_hash_seconds',
    help: 'Time of a password hash.',
    buckets: BUCKETS,
    registers,
  });
  const refused = new Counter({
    name: 'auth_hash_refused_total',
    help: 'Password hashes refused because the queue was full.',
    registers,
  });
  return { waitSeconds, workSeconds, refused };
}
