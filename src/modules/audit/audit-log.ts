import { Types } from 'mongoose';
import { Counter } from 'prom-client';
import type { Closable } from '../../kernel/lifecycle';
import type { Metrics } from '../../platform/telemetry/metrics';
import { AUDIT_TYPES, type AuditEvent, type AuditRow, type AuditType } from './audit-event';
import { createAuditBudget, WINDOW_MS } from './budget';
import { createRowWriter, type RowWriterOptions } from './row-writer';

export interface AuditLog extends Closable {
  /**
   * Never waits and never fails: a login must not tell by its time, or fail, because of its log.
   */
  record(event: AuditEvent): void;
  /** Resolves when everything recorded so far is stored, or given up. */
  flush(): Promise<void>;
}

export interface AuditLogOptions extends RowWriterOptions {
  readonly ttlDays: number;
  readonly now: () => number;
}

const DAY_MS = 86_400_000;
/** Of these an operator wants to know at once. */
const ALARMING: ReadonlySet<AuditType> = new Set([
  'refresh_token_reused',
  'passkey_counter_stalled',
]);

/**
 * Events that a client can cause without an account or by refused requests. Reuse needs a token
 * that was good, and ends its session; an import needs a permission.
 */
const isCheap = ({ type, result }: Pick<AuditEvent, 'type' | 'result'>) =>
  type === 'password_reset_requested' ||
  type === 'email_sign_in_requested' ||
  (result === 'failure' && !ALARMING.has(type) && type !== 'users_imported');

export function createAuditLog(options: AuditLogOptions): AuditLog {
  const { log, metrics, ttlDays, now } = options;
  const writer = createRowWriter(options);
  const budget = createAuditBudget();
  let windowTimer: NodeJS.Timeout | undefined;
  const count = createEventCounter(metrics);

  function endWindow(): void {
    clearTimeout(windowTimer);
    windowTimer = undefined;
    for (const row of budget.takeCounted()) writer.add(row);
  }

  function admit(row: AuditRow): boolean {
    windowTimer ??= setTimeout(endWindow, WINDOW_MS).unref();
    return budget.admit(row);
  }

  return {
    record({ client: { network, userAgent, requestId }, once, ...event }) {
      const [at, until] = [new Date(now()), new Date(now() + ttlDays * DAY_MS)];
      const row: AuditRow = {
        ...{ _id: new Types.ObjectId(once), at, ...event },
        ...{ network, userAgent, requestId, until },
      };
      count(event);
      if (ALARMING.has(event.type)) log.warn({ event: row }, 'security event');
      if (!isCheap(event) || admit(row)) writer.add(row);
    },
    flush: writer.flush,
    async close() {
      endWindow();
      await writer.close();
    },
  };
}

function createEventCounter(metrics: Metrics) {
  const counter = new Counter({
    name: 'auth_events_total',
    help: 'Security events.',
    labelNames: ['type', 'result'],
    registers: [metrics],
  });
  // A rate needs a beginning: a series that appears with its first event hides that one.
  for (const type of AUDIT_TYPES)
    for (const result of ['success', 'failure'] as const) counter.inc({ type, result }, 0);
  return ({ type, result }: Pick<AuditEvent, 'type' | 'result'>) => counter.inc({ type, result });
}
