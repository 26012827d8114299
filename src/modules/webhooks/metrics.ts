import { Counter, Histogram } from 'prom-client';
import type { LoggedEvent } from '../../platform/event-log/event-log';
import type { Metrics } from '../../platform/telemetry/metrics';
import type { Attempt } from './attempt';

/** Counts the attempts of this process. `now`: the database's time. */
export function measureAttempts(metrics: Metrics, now: () => number) {
  const registers = [metrics];
  const attempts = new Counter({
    name: 'webhooks_attempts_total',
    help: 'Attempts to deliver an event to a webhook, by how they ended.',
    labelNames: ['result'],
    registers,
  });
  for (const result of ['delivered', 'gone', 'failed']) attempts.inc({ result }, 0);
  const delay = new Histogram({
    name: 'webhooks_delay_seconds',
    help: 'Time from the change of a user until a webhook had accepted its event.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600, 86_400],
    registers,
  });
  return (event: LoggedEvent, attempt: Attempt): Attempt => {
    attempts.inc({ result: attempt.result });
    if (attempt.result === 'delivered')
      delay.observe(Math.max(0, now() - event.at.getTime()) / 1000);
    return attempt;
  };
}
