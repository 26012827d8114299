import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../kernel/config/config';
import { randomToken } from '../../kernel/crypto/random';
import { type Closable, withTimeout } from '../../kernel/lifecycle';
import { makeFolder } from '../../kernel/make-folder';
import type { Logger } from '../telemetry/logger';
import type { Mail } from './templates';

/** Hands mails to a mail server. */
export interface Mailer extends Closable {
  /**
   * One attempt. Resolves when the mail server accepted the mail. `id` is the same for all attempts
   * to send one mail.
   */
  send(id: string, mail: Mail): Promise<void>;
  /** The longest time that an attempt takes. */
  readonly sendTimeoutMs: number;
}

/** undefined: no mail server is configured. */
export function createMailer(config: Config, log: Logger): Mailer | undefined {
  if (config.mail.smtpUrl !== undefined) return createSmtpMailer(config.mail.smtpUrl, config.mail);
  if (config.server.environment === 'development')
    return createFolderMailer(join(config.database.dataDir, 'mail'), config.mail.from, log);
  return undefined;
}

/**
 * Whether the mail server permanently refused this mail (RFC 5321 §4.2.1): its recipient or its
 * content. A 5xx to the login, the greeting or the sender address is a configuration fault, which
 * an operator can fix while the mail waits.
 */
export function isRejection(error: unknown): boolean {
  const { command, responseCode } = error as { command?: unknown; responseCode?: unknown };
  return (
    typeof responseCode === 'number' &&
    responseCode >= 500 &&
    (command === 'RCPT TO' || command === 'DATA')
  );
}

function createSmtpMailer(url: string, { from, timeoutMs }: Config['mail']): Mailer {
  // DNS, connection, greeting and replies each wait at most `timeoutMs`; one delivery waits at most
  // three times that.
  const sendTimeoutMs = timeoutMs * 3;
  const bounds = {
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
  };
  const create = () => {
    // Loaded only where mails are sent: nodemailer takes 2 to 3 MB of each worker's memory.
    const { createTransport } = require('nodemailer') as typeof import('nodemailer');
    // maxRequeues: the mail queue retries, nodemailer must not retry within an attempt.
    return createTransport({ url, pool: true, maxConnections: 2, maxRequeues: 0, ...bounds });
  };
  let transport = create();
  const domain = /@([A-Za-z0-9.-]+)/.exec(from)?.[1] ?? 'localhost';
  return {
    sendTimeoutMs,
    async send(id, mail) {
      const sent = transport.sendMail({
        from,
        ...mail,
        messageId: `<${id}@${domain}>`,
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      try {
        await withTimeout(sent, sendTimeoutMs, 'sending a mail');
      } catch (error) {
        if (error instanceof Error && error.name === 'TimeoutError') {
          sent.catch(() => undefined);
          transport.close();
          transport = create();
        }
        throw error;
      }
    },
    async close() {
      transport.close();
    },
  };
}

/** For development: writes the mail to a file and to the log, so that its link can be opened. */
function createFolderMailer(directory: string, from: string, log: Logger): Mailer {
  return {
    sendTimeoutMs: 10_000,
    async send(_id, { to, subject, text }) {
      makeFolder(directory, 0o700);
      const file = join(
        directory,
        `${new Date().toISOString().replaceAll(':', '-')}-${randomToken(4)}.txt`,
      );
      await writeFile(file, `From: ${from}\nTo: ${to}\nSubject: ${subject}\n\n${text}`, {
        mode: 0o600,
        flag: 'wx',
      });
      log.info({ to, subject, file, text }, 'mail written to a file (development)');
    },
    close: async () => {},
  };
}
