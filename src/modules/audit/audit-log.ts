import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mongoose';
import { Types } from 'mongoose';
import { Counter } from 'prom-client';
import { backoffMs, type Closable, withTimeout } from '../../kernel/lifecycle';
import { isDuplicateKey } from '../../platform/mongo/errors';
import type { Logger } from '../../platform/telemetry/logger';
import type { Metrics } from '../../platform/telemetry/metrics';
import { AUDIT_TYPES, type AuditEvent, type AuditRow, type AuditType } from './audit-event';
import { createAuditBudget, WINDOW_MS } from './budget';

export const AUDIT_COLLECTION = 'audit_events';

export interface AuditLog extends Closable {
  /**
   * Never waits and never fails: a login must not tell by its time, or fail, because of its log.
   */
  record(event: AuditEvent): void;
  /** Resolves when everything recorded so far is stored, or given up. */
  flush(): Promise<void>;
}

export const auditIndexes = {
  collection: AUDIT_COLLECTION,
  indexes: [
    { key: { at: -1, _id: -1 }, name: 'by_time' },
    { key: { subject: 1, at: -1, _id: -1 }, name: 'by_subject' },
    // For the purge and the export of a user.
    { key: { actor: 1, at: -1, _id: -1 }, name: 'by_actor' },
    {
      key: { impersonated: 1 },
      name: 'by_impersonated',
      partialFilterExpression: { impersonated: { $exists: true } },
    },
    { key: { type: 1, at: -1, _id: -1 }, name: 'by_type' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 0 },
  ],
} as const;

export interface AuditLogOptions {
  readonly connection: Connection;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly timeoutMs: number;
  readonly ttlDays: number;
  readonly now: () => number;
}

const DAY_MS = 86_400_000;
const FLUSH_MS = 50;
const BATCH = 500;
const MAX_WAITING = 10_000;
const ATTEMPTS = 5;
/** Of these an operator wants to know at once. */
const ALARMING: ReadonlySet<AuditType> = new Set([
  'refresh_token_reused',
  'passkey_counter_stalled',
]);

/**
 * What anyone can cause without an account or by what is refused. Reuse needs a token that was
 * good, and ends its session; an import needs a permission.
 */
const isCheap = ({ type, result }: Pick<AuditEvent, 'type' | 'result'>) =>
  type === 'password_reset_requested' ||
  type === 'email_sign_in_requested' ||
  (result === 'failure' && !ALARMING.has(type) && type !== 'users_imported');

export function createAuditLog({
  connection,
  log,
  metrics,
  timeoutMs,
  ttlDays,
  now,
}: AuditLogOptions): AuditLog {
  const waiting: AuditRow[] = [];
  /** Sent to the database, and not acknowledged. */
  let storing: readonly AuditRow[] = [];
  let isClosed = false;
  let flushing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const budget = createAuditBudget();
  let windowTimer: NodeJS.Timeout | undefined;
  const lost = new Counter({
    name: 'auth_audit_lost_total',
    help: 'Security events that could not be stored (they are in the log).',
    registers: [metrics],
  });
  const security = new Counter({
    name: 'auth_events_total',
    help: 'Security events.',
    labelNames: ['type', 'result'],
    registers: [metrics],
  });
  // A rate needs a beginning: a series that appears with its first event hides that one.
  for (const type of AUDIT_TYPES)
    for (const result of ['success', 'failure'] as const) security.inc({ type, result }, 0);

  function giveUp(rows: readonly AuditRow[], reason: unknown): void {
    lost.inc(rows.length);
    for (const event of rows)
      log.error({ event, err: reason }, 'a security event could not be stored');
  }

  /** The ids are ours, so that a repeat after a lost answer stores nothing twice. */
  async function insert(rows: AuditRow[]): Promise<void> {
    await connection
      .collection<AuditRow>(AUDIT_COLLECTION)
      .insertMany(rows, { ordered: false, timeoutMS: timeoutMs })
      .catch((error: unknown) => {
        if (!isDuplicateKey(error)) throw error;
      });
  }

  async function store(rows: AuditRow[]): Promise<void> {
    for (let attempt = 1; !isClosed; attempt += 1) {
      try {
        return await insert(rows);
      } catch (error) {
        if (attempt >= ATTEMPTS) return isClosed ? undefined : giveUp(rows, error);
        await delay(backoffMs(attempt - 1, 100, 2000));
      }
    }
  }

  async function drain(): Promise<void> {
    try {
      while (waiting.length > 0 && !isClosed) {
        const batch = waiting.splice(0, BATCH);
        storing = batch;
        await store(batch);
        storing = [];
      }
    } finally {
      // With the last look at what is waiting: a later flush begins a drain of its own.
      flushing = undefined;
    }
  }

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length > 0 && !isClosed) flushing ??= drain();
    await flushing;
  }

  function keep(row: AuditRow): void {
    if (waiting.length >= MAX_WAITING) {
      giveUp([row], new Error('too many security events are waiting'));
      return;
    }
    waiting.push(row);
    timer ??= setTimeout(() => void flush(), FLUSH_MS).unref();
  }

  function endWindow(): void {
    clearTimeout(windowTimer);
    windowTimer = undefined;
    for (const row of budget.takeCounted()) keep(row);
  }

  function admit(row: AuditRow): boolean {
    windowTimer ??= setTimeout(endWindow, WINDOW_MS).unref();
    return budget.admit(row);
  }

  return {
    record({ client, once, ...event }) {
      const { network, userAgent, requestId } = client;
      const [at, until] = [new Date(now()), new Date(now() + ttlDays * DAY_MS)];
      const row: AuditRow = {
        _id: new Types.ObjectId(once),
        at,
        ...event,
        network,
        userAgent,
        requestId,
        until,
      };
      security.inc({ type: event.type, result: event.result });
      if (ALARMING.has(event.type)) log.warn({ event: row }, 'security event');
      if (!isCheap(event) || admit(row)) keep(row);
    },
    flush,
    async close() {
      endWindow();
      await withTimeout(flush(), timeoutMs * 2, 'storing the last security events').catch(
        (error: unknown) => {
          isClosed = true;
          giveUp([...storing, ...waiting.splice(0)], error);
        },
      );
    },
  };
}
