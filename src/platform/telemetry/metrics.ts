import { Registry } from 'prom-client';

/** One registry per worker; the ops port sums the registries of all workers. */
export type Metrics = Registry;

export function createMetrics(): Metrics {
  return new Registry();
}
