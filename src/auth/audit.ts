import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mongoose';
import { Types } from 'mongoose';
import { Counter } from 'prom-client';
import { backoffMs, type Closable, withTimeout } from '../lifecycle';
import type { Logger } from '../observability/logger';
import type { Metrics } from '../observability/metrics';
import { isDuplicateKey } from '../users/repository';
import type { ClientInfo } from './client';

export const AUDIT_COLLECTION = 'audit_events';

export const AUDIT_TYPES = [
  'registered',
  'login',
  'logout',
  'session_ended',
  'refresh_token_reused',
  'password_changed',
  'password_reset_requested',
  'password_reset',
  'email_verified',
  'email_change_requested',
  'email_changed',
  'account_created',
  'role_set',
  'account_removed',
  'service_account_created',
  'service_account_revoked',
  'client_token_issued',
] as const;
export type AuditType = (typeof AUDIT_TYPES)[number];

/** Who did what, from where, and how it ended. Never holds a secret: there is no field that could. */
export interface AuditEvent {
  readonly type: AuditType;
  readonly result: 'success' | 'failure';
  /** Why it failed, as a stable code. */
  readonly reason?: string;
  /** Who acted, where that is known. */
  readonly actor?: string | undefined;
  /** The account concerned, where there is one. */
  readonly subject?: string | undefined;
  readonly session?: string;
  readonly client: ClientInfo;
}

export interface AuditRow extends Omit<AuditEvent, 'client'> {
  readonly _id: Types.ObjectId;
  readonly at: Date;
  readonly network: string;
  readonly userAgent: string;
  readonly requestId: string;
  /** When it may be removed. */
  readonly until: Date;
}

export interface Audit extends Closable {
  /** Never waits and never fails: a login must not tell by its time, or fail, because of its log. */
  record(event: AuditEvent): void;
  /** Resolves when everything recorded so far is stored, or given up. */
  flush(): Promise<void>;
}

export const auditIndexes = {
  collection: AUDIT_COLLECTION,
  indexes: [
    { key: { at: -1, _id: -1 }, name: 'by_time' },
    { key: { subject: 1, at: -1, _id: -1 }, name: 'by_subject' },
    { key: { type: 1, at: -1, _id: -1 }, name: 'by_type' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 0 },
  ],
} as const;

export interface AuditOptions {
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
const ALARMING: ReadonlySet<AuditType> = new Set(['refresh_token_reused']);

export function createAudit({ connection, log, metrics, timeoutMs, ttlDays, now }: AuditOptions): Audit {
  const waiting: AuditRow[] = [];
  let flushing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
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

  function giveUp(rows: readonly AuditRow[], reason: unknown): void {
    lost.inc(rows.length);
    for (const event of rows) log.error({ event, err: reason }, 'a security event could not be stored');
  }

  async function store(rows: AuditRow[]): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        // The ids are ours, so that a repeat after a lost answer stores nothing twice.
        await connection.collection<AuditRow>(AUDIT_COLLECTION).insertMany(rows, { ordered: false, timeoutMS: timeoutMs });
        return;
      } catch (error) {
        if (isDuplicateKey(error)) return;
        if (attempt + 1 >= ATTEMPTS) return giveUp(rows, error);
        await delay(backoffMs(attempt, 100, 2000));
      }
    }
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) await store(waiting.splice(0, BATCH));
  }

  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    flushing ??= drain().finally(() => {
      flushing = undefined;
    });
    return flushing;
  };

  return {
    record({ client, ...event }) {
      const { network, userAgent, requestId } = client;
      const [at, until] = [new Date(now()), new Date(now() + ttlDays * DAY_MS)];
      const row: AuditRow = { _id: new Types.ObjectId(), at, ...event, network, userAgent, requestId, until };
      security.inc({ type: event.type, result: event.result });
      if (ALARMING.has(event.type)) log.warn({ event: row }, 'security event');
      if (waiting.length >= MAX_WAITING) return giveUp([row], new Error('too many security events are waiting'));
      waiting.push(row);
      timer ??= setTimeout(() => void flush(), FLUSH_MS).unref();
    },
    flush,
    async close() {
      await flush();
      await withTimeout(drain(), timeoutMs * 2, 'storing the last security events').catch((error: unknown) =>
        giveUp(waiting.splice(0), error),
      );
    },
  };
}
