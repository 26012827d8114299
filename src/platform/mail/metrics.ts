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

/** A query that takes longer is given up, and the next scrape asks again. */
const BACKLOG_TIMEOUT_MS = 1000;
/** A scrape waits no longer for it: its other metrics must not be late because MongoDB is away. */
const SCRAPE_WAIT_MS = 100;

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
  type Backlog = Awaited<ReturnType<MailQueue['backlog']>>;
  let last: Backlog | undefined;
  /** Both gauges share one query. While the database does not answer, they keep their values. */
  const refresh = sharedAnswer(async () => {
    const asked = withTimeout(queue.backlog(), BACKLOG_TIMEOUT_MS, 'counting mails');
    last = await asked.catch(() => last);
  }, 0);
  const gauge = (name: string, help: string, read: (now: Backlog) => number) =>
    new Gauge({
      name,
      help,
      // Every worker reports the same queue: the maximum is taken, not the sum.
      aggregator: 'max',
      registers: [metrics],
      async collect() {
        await withTimeout(refresh(), SCRAPE_WAIT_MS, 'waiting for the count').catch(() => {});
        if (last === undefined) this.remove();
        else this.set(read(last));
      },
    });
  gauge('auth_mails_waiting', 'Mails in the queue, over all hosts.', ({ waiting }) => waiting);
  gauge(
    'auth_mails_oldest_seconds',
    'Age of the oldest mail in the queue, over all hosts.',
    ({ oldestSeconds }) => oldestSeconds,
  );
}
