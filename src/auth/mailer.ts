import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config';
import { backoffMs, type Closable } from '../lifecycle';
import type { Logger } from '../observability/logger';

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

/** The way mails leave the service. */
export interface Mailer extends Closable {
  /** Resolves when the mail was taken over for delivery. Rejects after its own retries. */
  send(mail: Mail): Promise<void>;
}

const ATTEMPTS = 4;

export function createMailer(config: Config, log: Logger): Mailer {
  if (config.mail.smtpUrl !== undefined) return createSmtpMailer(config.mail.smtpUrl, config.mail, log);
  if (config.server.environment === 'development') return createFolderMailer(join(config.database.dataDir, 'mail'), config.mail.from, log);
  if (config.server.environment === 'production') log.warn('SMTP_URL is not set: no mails are sent');
  return {
    send: async ({ subject }) => log.debug({ subject }, 'no mail was sent: SMTP_URL is not set'),
    close: async () => {},
  };
}

function createSmtpMailer(url: string, { from, timeoutMs }: Config['mail'], log: Logger): Mailer {
  const bounds = { connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs, dnsTimeout: timeoutMs };
  // Only where mails are sent: nodemailer is 39 modules and 0.7 MB of source, 2 to 3 MB of each worker.
  const { createTransport } = require('nodemailer') as typeof import('nodemailer');
  const transport = createTransport({ url, pool: true, maxConnections: 2, ...bounds });
  return {
    async send(mail) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          await transport.sendMail({ from, ...mail, disableFileAccess: true, disableUrlAccess: true });
          return;
        } catch (error) {
          // A 5xx of the mail server is its last word (RFC 5321 §4.2.1).
          if (attempt >= ATTEMPTS || isPermanent(error)) throw error;
          log.warn({ err: error, attempt }, 'a mail could not be handed over yet');
          await delay(backoffMs(attempt, 250, 5000));
        }
      }
    },
    async close() {
      transport.close();
    },
  };
}

const isPermanent = (error: unknown) =>
  error instanceof Error && 'responseCode' in error && typeof error.responseCode === 'number' && error.responseCode >= 500;

/** Development: the mail is in the log and in a file, for a person to follow its link. */
function createFolderMailer(directory: string, from: string, log: Logger): Mailer {
  return {
    async send({ to, subject, text }) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const file = join(directory, `${new Date().toISOString().replaceAll(':', '-')}-${randomBytes(3).toString('hex')}.txt`);
      await writeFile(file, `From: ${from}\nTo: ${to}\nSubject: ${subject}\n\n${text}`, { mode: 0o600, flag: 'wx' });
      log.info({ to, subject, file, text }, 'a mail (development: written to a file instead of sent)');
    },
    close: async () => {},
  };
}
