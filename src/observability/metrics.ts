import { Registry } from 'prom-client';

/** One registry per worker, handed to whoever counts; the ops port sums the workers' registries. */
export type Metrics = Registry;

export function createMetrics(): Metrics {
  return new Registry();
}
