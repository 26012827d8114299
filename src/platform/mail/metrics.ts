import { Counter, Gauge } from 'prom-client';
import { withTimeout } from '../../kernel/lifecycle';
import { sharedAnswer } from '../../kernel/shared-answer';
import type { Metrics } from '../telemetry/metrics';
import type { MailQueue } from './queue';

/**
 * Why a mail was not sent.
 * - `no_server`: SMTP_URL is not set.
 * - `budget`: too many mails to one address, or of one account, within an hour.
 * - `queue_full`, `recipient_full`: too many mails are waiting.
 * - `superseded`: a newer mail replaced it, or its link was revoked.
 * - `expired`: the mail server did not accept it in time.
 * - `rejected`: the mail server refused it permanently.
 * - `unreadable`: it was encrypted with another secret.
 * - `failed`: it could not be stored.
 */
const DROP_REASONS = [
  'no_server',
  'budget',
  'queue_full',
  'recipient_full',
  'superseded',
  'expired',
  'rejected',
  'unreadable',
  'failed',
] as const;
type DropReason = (typeof DROP_REASONS)[number];

export interface MailMetrics {
  queued(kind: string): void;
  sent(kind: string): void;
  retried(kind: string): void;
  dropped(kind: string, reason: DropReason, count?: number): void;
}

const BACKLOG_TIMEOUT_MS = 1000;

/** `kinds`: every kind starts at 0, so that the first increase is visible. */
export function createMailMetrics(
  metrics: Metrics,
  queue: MailQueue,
  kinds: readonly string[],
): MailMetrics {
  const registers = [metrics];
  const counter = (name: string, help: string) => {
    const counted = new Counter({
      name: `auth_mails_${name}_total`,
      help,
      labelNames: ['kind'],
      registers,
    });
    for (const kind of kinds) counted.inc({ kind }, 0);
    return (kind: string) => counted.inc({ kind });
  };
  const dropped = new Counter({
    name: 'auth_mails_dropped_total',
    help: 'Mails that were given up, by reason.',
    labelNames: ['kind', 'reason'],
    registers,
  });
  for (const kind of kinds) for (const reason of DROP_REASONS) dropped.inc({ kind, reason }, 0);
  registerBacklogGauges(metrics, queue);
  return {
    queued: counter('queued', 'Mails that were added to the queue.'),
    sent: counter('sent', 'Mails that the mail server accepted.'),
    retried: counter('retried', 'Attempts that failed and will be repeated.'),
    dropped: (kind, reason, count = 1) => dropped.inc({ kind, reason }, count),
  };
}

function registerBacklogGauges(metrics: Metrics, queue: MailQueue): void {
  /** Both gauges share one query. While the database does not answer, they keep their values. */
  const backlog = sharedAnswer(
    () => withTimeout(queue.backlog(), BACKLOG_TIMEOUT_MS, 'counting mails').catch(() => undefined),
    0,
  );
  // Every worker reports the same queue: the maximum is taken, not the sum.
  const registers = [metrics];
  const options = { registers, aggregator: 'max' } as const;
  new Gauge({
    ...options,
    name: 'auth_mails_waiting',
    help: 'Mails in the queue, over all hosts.',
    async collect() {
      const now = await backlog();
      if (now !== undefined) this.set(now.waiting);
    },
  });
  new Gauge({
    ...options,
    name: 'auth_mails_oldest_seconds',
    help: 'Age of the oldest mail in the queue, over all hosts.',
    async collect() {
      const now = await backlog();
      if (now !== undefined) this.set(now.oldestSeconds);
    },
  });
}
