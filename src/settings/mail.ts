import { integer, optional, setting, text, url } from './setting';

export const mail = {
  smtpUrl: setting(
    'SMTP_URL',
    optional(url('smtp', 'smtps')),
    undefined,
    'Mail server, e.g. smtps://user:password@mail.example:465; unset writes mails to DATA_DIR/mail, and sends none in production.',
    { secret: true },
  ),
  from: setting('MAIL_FROM', text(), 'Accounts <no-reply@localhost.localdomain>', 'Sender of mails.'),
  linkBase: setting(
    'MAIL_LINK_BASE',
    optional(url('http', 'https')),
    undefined,
    'Page that links in mails open, with ?purpose=…&token=…; unset takes PUBLIC_URL, else http://localhost:PORT.',
  ),
  timeoutMs: setting('SMTP_TIMEOUT_MS', integer(100, 120_000), '10000', 'Longest wait for the mail server, in ms.'),
  queueMax: setting('MAIL_QUEUE_MAX', integer(1, 100_000), '1000', 'Most mails waiting per worker; more are dropped and counted.'),
} as const;
