import { DecryptionError } from '../../kernel/crypto/encryption';
import type { Closable } from '../../kernel/lifecycle';
import { backoffMs, withTimeout } from '../../kernel/lifecycle';
import type { Logger } from '../telemetry/logger';
import { NO_TRACING, type Tracing, within } from '../telemetry/tracing';
import { isRejection, type Mailer } from './mailer';
import type { MailMetrics } from './metrics';
import type { LeasedMail, MailQueue } from './queue';

/** Sends the queued mails. The senders of all workers and hosts share one queue. */
export interface MailSender extends Closable {
  /** Call after adding a mail: it is sent now instead of at the next poll. */
  kick(): void;
}

export interface MailSenderOptions {
  readonly queue: MailQueue;
  readonly mailer: Mailer;
  readonly metrics: MailMetrics;
  readonly log: Logger;
  readonly tracing?: Tracing | undefined;
  /** How often an idle sender looks for mails of other workers and for due retries. */
  readonly pollMs?: number;
  /** The first pause after a failure. It doubles, up to 15 minutes. */
  readonly retryBaseMs?: number;
}

const CONCURRENCY = 2;
const RETRY_MAX_MS = 15 * 60_000;
/** Added to the longest attempt, for the database calls before and after it. */
const LEASE_MARGIN_MS = 30_000;

export function startMailSender(options: MailSenderOptions): MailSender {
  const { queue, mailer, metrics, log, pollMs = 5000, retryBaseMs = 5000 } = options;
  const { tracing = NO_TRACING } = options;
  const running = new Set<Promise<void>>();
  let closed = false;
  let timer: NodeJS.Timeout;

  /** In the trace of the request that asked for it. */
  function send(mail: LeasedMail): Promise<void> {
    const { id, kind, attempts, origin } = mail;
    const attributes = { 'mail.kind': kind, 'mail.attempt': attempts };
    const span = tracing.follow(`mail ${kind}`, origin, attributes);
    return within(tracing, span, () => mailer.send(id, mail.decrypt()));
  }

  async function deliver(mail: LeasedMail): Promise<void> {
    const { id, kind, attempts } = mail;
    const drop = async (reason: 'expired' | 'rejected' | 'unreadable') => {
      await mail.remove();
      metrics.dropped(kind, reason);
    };
    if (mail.expired) {
      log.warn({ mail: id, kind, attempts: attempts - 1 }, 'mail dropped, expired in the queue');
      return drop('expired');
    }
    try {
      await send(mail);
    } catch (error) {
      if (error instanceof DecryptionError || isRejection(error)) {
        log.warn({ err: error, mail: id, kind, attempts }, 'mail dropped');
        return drop(error instanceof DecryptionError ? 'unreadable' : 'rejected');
      }
      const pauseMs = backoffMs(attempts - 1, retryBaseMs, RETRY_MAX_MS);
      log.warn({ err: error, mail: id, kind, attempts, pauseMs }, 'mail not sent, will retry');
      metrics.retried(kind);
      return mail.release(pauseMs);
    }
    metrics.sent(kind);
    await mail.remove();
  }

  async function drain(): Promise<void> {
    try {
      while (!closed) {
        const mail = await queue.take(mailer.sendTimeoutMs + LEASE_MARGIN_MS);
        if (mail === undefined) return;
        await deliver(mail);
      }
    } catch (error) {
      // The database failed. A leased mail is free again when its lease expires.
      log.warn({ err: error }, 'mail queue not readable');
    }
  }

  function kick(): void {
    if (closed || running.size >= CONCURRENCY) return;
    // Not within the span of a request: it sends the mails of others, too.
    const work = tracing.activate(undefined, drain).finally(() => running.delete(work));
    running.add(work);
  }

  function poll(): void {
    kick();
    timer = setTimeout(poll, backoffMs(0, pollMs, pollMs)).unref();
  }
  timer = setTimeout(poll, backoffMs(0, pollMs, pollMs)).unref();

  return {
    kick,
    async close() {
      closed = true;
      clearTimeout(timer);
      await withTimeout(Promise.all(running), mailer.sendTimeoutMs, 'sending the last mails');
    },
  };
}
