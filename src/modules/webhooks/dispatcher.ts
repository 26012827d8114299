import type { Closable } from '../../kernel/lifecycle';
import { withTimeLimit } from '../../kernel/time-limit';
import type { EventLog } from '../../platform/event-log/event-log';
import type { Locks } from '../../platform/mongo/locks';
import { inTurns, type Turn } from '../../platform/mongo/turns';
import type { Logger } from '../../platform/telemetry/logger';
import { type BatchOptions, deliverBatch } from './batch';
import type { DeliveryStore } from './delivery-store';
import type { Webhook } from './webhook';
import type { WebhookStore } from './webhook-store';

export interface DispatcherOptions extends BatchOptions {
  readonly store: WebhookStore;
  readonly deliveries: DeliveryStore;
  readonly eventLog: EventLog;
  readonly locks: Locks;
  readonly log: Logger;
  /** One attempt ends within this time. */
  readonly timeoutMs: number;
  readonly disableAfterMs: number;
  /** It was just disabled, and not by an administrator. */
  readonly disabled: (webhook: Webhook) => void;
}

/** Between two looks for something to send. */
const POLL_MS = 100;
/** The same where there is no webhook. */
const IDLE_MS = 1000;
/** Webhooks that one process serves at a time. */
const IN_FLIGHT_MAX = 20;
/** The events of one user are sent one after the other, so a batch may take several timeouts. */
const LEASE_TIMEOUTS = 3;
const LEASE_EXTRA_MS = 5000;

/**
 * Sends events to webhooks, in one process of the deployment at a time. The lock only saves looks:
 * each webhook is claimed for its batch, and a batch that outlived its claim changes nothing
 * (docs/adr/0045-webhooks.md).
 */
export function startDispatcher(options: DispatcherOptions): Closable {
  const { store, deliveries, eventLog, locks, log, timeoutMs, disableAfterMs } = options;
  const inFlight = new Map<string, Promise<void>>();
  const stop = new AbortController();
  const leaseMs = LEASE_TIMEOUTS * timeoutMs + LEASE_EXTRA_MS;

  async function serve(id: string): Promise<void> {
    const claimed = await store.claim(id, leaseMs);
    if (claimed === null) return;
    const batchMs = (LEASE_TIMEOUTS - 1) * timeoutMs;
    const outcome = await withTimeLimit(batchMs, stop.signal, (signal) =>
      deliverBatch(claimed, options, signal),
    );
    const settled = await store.settle(claimed, outcome, disableAfterMs);
    if (claimed.failures > 0 && outcome.delivered > 0) await deliveries.makeDue(id, 'waiting');
    if (settled !== null && outcome.gap !== undefined)
      log.warn(
        { webhook: id, ...outcome.gap },
        'events expired before they were sent to a webhook',
      );
    if (settled?.status !== 'disabled') return;
    log.warn({ webhook: id, reason: settled.disabledReason }, 'webhook disabled');
    options.disabled(settled);
  }

  function start(id: string): void {
    const done = serve(id)
      .catch((error: unknown) => log.warn({ err: error, webhook: id }, 'webhook batch failed'))
      .finally(() => inFlight.delete(id));
    inFlight.set(id, done);
  }

  /** Resolves with how long to wait for the next look. */
  async function look(): Promise<number> {
    const due = await store.due();
    if (due.length === 0) return (await store.anyEnabled()) ? POLL_MS : IDLE_MS;
    const latest = await eventLog.latest();
    const withRepeats = new Set(await deliveries.dueWebhooks());
    for (const { _id: id, position } of due) {
      if (inFlight.size >= IN_FLIGHT_MAX) break;
      if (!inFlight.has(id) && (position < latest || withRepeats.has(id))) start(id);
    }
    return POLL_MS;
  }

  async function work({ isOver, pause }: Turn): Promise<void> {
    while (!isOver()) await pause(await look());
  }

  const looks = inTurns({
    ...{ name: 'webhooks', locks, work },
    failed: (error) => log.warn({ err: error }, 'webhooks not read, will retry'),
  });
  return {
    async close() {
      stop.abort();
      await looks.close();
      await Promise.all(inFlight.values());
    },
  };
}
