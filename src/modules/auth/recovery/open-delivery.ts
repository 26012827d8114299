import type { Connection } from 'mongoose';
import type { Config } from '../../../kernel/config/config';
import type { Secrets } from '../../../kernel/crypto/encryption';
import type { Closable } from '../../../kernel/lifecycle';
import type { Counters } from '../../../platform/counters/counters';
import { createMailer } from '../../../platform/mail/mailer';
import { createMailMetrics, type MailMetrics } from '../../../platform/mail/metrics';
import { createMailQueue, type MailQueue } from '../../../platform/mail/queue';
import { type MailSender, startMailSender } from '../../../platform/mail/sender';
import type { Logger } from '../../../platform/telemetry/logger';
import type { Metrics } from '../../../platform/telemetry/metrics';
import type { Tracing } from '../../../platform/telemetry/tracing';
import { baseUrlOf } from '../settings';
import { ACCOUNT_PAGE } from './account-page';
import { createMailDelivery, type MailDelivery } from './mail-delivery';
import { loadAuthMailTemplates, MAIL_KINDS } from './mail-kinds';
import type { OneTimeTokens } from './one-time-tokens';

export interface DeliveryDependencies {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing?: Tracing | undefined;
  readonly connection: Connection;
  readonly counters: Counters;
  readonly own: <T extends Closable>(name: string, resource: T) => T;
  /** Queued mails are encrypted with the first. */
  readonly secrets: Secrets;
  /** Whether this process sends mails; else it queues them for the processes that do. */
  readonly sendsMail: boolean;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

/** The queue of mails, and the sender that sends them. */
export function openMailDelivery(deps: DeliveryDependencies, tokens: OneTimeTokens): MailDelivery {
  const { config, metrics, connection, counters, secrets, sendsMail, now } = deps;
  // A command need not say that the deployment sends no mails.
  const log = sendsMail ? deps.log : deps.log.child({}, { level: 'error' });
  const { retrySeconds, invitationTtlSeconds, queueMax: maxPerKind } = config.mail;
  const queue = createMailQueue(connection, {
    secrets,
    maxPerKind,
    timeoutMs: config.database.operationTimeoutMs,
    tracing: deps.tracing,
  });
  const mailMetrics = createMailMetrics(metrics, queue, Object.keys(MAIL_KINDS));
  return createMailDelivery({
    templates: loadAuthMailTemplates(config.mail.templatesDir),
    linkBase: config.mail.linkBase ?? `${baseUrlOf(config)}${ACCOUNT_PAGE}`,
    sender: openSender(deps, queue, mailMetrics),
    metrics: mailMetrics,
    secret: secrets[0],
    ...{ tokens, queue, counters, log, retrySeconds, invitationTtlSeconds, now },
  });
}

/** undefined: no mail server is configured. */
function openSender(
  { config, log, own, sendsMail, tracing }: DeliveryDependencies,
  queue: MailQueue,
  metrics: MailMetrics,
): Pick<MailSender, 'kick'> | undefined {
  const mailer = createMailer(config, log);
  if (mailer === undefined) {
    if (sendsMail && config.server.environment === 'production')
      log.warn('SMTP_URL is not set: mails are dropped');
    return undefined;
  }
  own('mailer', mailer);
  if (!sendsMail) return { kick() {} };
  return own('mail sender', startMailSender({ queue, mailer, metrics, log, tracing }));
}
