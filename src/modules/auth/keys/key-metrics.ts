import { Gauge } from 'prom-client';
import type { Metrics } from '../../../platform/telemetry/metrics';
import type { KeyRing } from './keys';

/** Gauges of the key that signs now; none for a shared secret, which is not rotated. */
export function exposeSigningKey(
  metrics: Metrics | undefined,
  { schedule }: KeyRing,
  now: () => number,
): void {
  if (metrics === undefined || schedule === undefined) return;
  const gauge = (name: string, help: string, readMs: () => number) =>
    new Gauge({
      ...{ name, help, aggregator: 'max' as const, registers: [metrics] },
      collect() {
        this.set(Math.max(0, readMs() / 1000));
      },
    });
  gauge(
    'auth_signing_key_age_seconds',
    'How long the current signing key has signed.',
    () => now() - schedule().activeFromMs,
  );
  gauge(
    'auth_signing_key_next_seconds',
    'Time until the next signing key is to sign.',
    () => schedule().nextFromMs - now(),
  );
}
