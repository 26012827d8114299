import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mongoose';
import { Counter } from 'prom-client';
import { backoffMs, type Closable, withTimeout } from '../../kernel/lifecycle';
import { isDuplicateKey } from '../../platform/mongo/errors';
import type { Logger } from '../../platform/telemetry/logger';
import type { Metrics } from '../../platform/telemetry/metrics';
import type { AuditRow } from './audit-event';
import { AUDIT_COLLECTION } from './collection';

export interface RowWriterOptions {
  readonly connection: Connection;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly timeoutMs: number;
}

/** Stores rows in batches, in the background. Rows that cannot be stored are logged. */
export interface RowWriter extends Closable {
  /** Never waits and never fails. */
  add(row: AuditRow): void;
  /** Resolves when every row added so far is stored, or given up. */
  flush(): Promise<void>;
}

const FLUSH_MS = 50;
const BATCH = 500;
const MAX_WAITING = 10_000;
const ATTEMPTS = 5;

export function createRowWriter({
  connection,
  log,
  metrics,
  timeoutMs,
}: RowWriterOptions): RowWriter {
  const waiting: AuditRow[] = [];
  /** Sent to the database, and not acknowledged. */
  let storing: readonly AuditRow[] = [];
  let isClosed = false;
  let flushing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const lost = new Counter({
    name: 'auth_audit_lost_total',
    help: 'Security events that could not be stored (they are in the log).',
    registers: [metrics],
  });

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

  return {
    add(row) {
      if (waiting.length >= MAX_WAITING) {
        giveUp([row], new Error('too many security events are waiting'));
        return;
      }
      waiting.push(row);
      timer ??= setTimeout(() => void flush(), FLUSH_MS).unref();
    },
    flush,
    async close() {
      await withTimeout(flush(), timeoutMs * 2, 'storing the last security events').catch(
        (error: unknown) => {
          isClosed = true;
          giveUp([...storing, ...waiting.splice(0)], error);
        },
      );
    },
  };
}
