import { mailSender, smtpUrl } from './connections';
import { flag, integer, optional, setting, text } from './setting';
import { webUrl } from './urls';

export const mail = {
  smtpUrl: setting(
    'SMTP_URL',
    optional(smtpUrl()),
    undefined,
    'Mail server, e.g. smtps://user:password@mail.example:465, or smtp://…:587?requireTLS=true; unset: mails are written to DATA_DIR/mail in development, and dropped and counted in production.',
    { secret: true },
  ),
  from: setting(
    'MAIL_FROM',
    mailSender(),
    'Accounts <no-reply@localhost.localdomain>',
    'Sender of mails.',
  ),
  linkBase: setting(
    'MAIL_LINK_BASE',
    optional(webUrl({ query: true })),
    undefined,
    'Page that links in mails open, with ?purpose=…#token=…; unset: the built-in page /account under PUBLIC_URL, else under http://localhost:PORT.',
  ),
  templatesDir: setting(
    'MAIL_TEMPLATES_DIR',
    optional(text()),
    undefined,
    'Folder of the mail templates; unset: templates/mail, whose README.md lists the placeholders.',
  ),
  timeoutMs: setting(
    'SMTP_TIMEOUT_MS',
    integer(100, 120_000),
    '10000',
    'Longest wait for a reply of the mail server, in ms.',
  ),
  retrySeconds: setting(
    'MAIL_RETRY_SECONDS',
    integer(60, 604_800),
    '86400',
    'How long, in seconds, a mail is retried when the mail server refuses it or is unreachable; retries stop early when its link expires. Then it is dropped and counted.',
  ),
  invitationTtlSeconds: setting(
    'INVITATION_TTL_SECONDS',
    integer(3600, 2_592_000),
    '604800',
    'How long the link of an invitation is valid, in seconds.',
  ),
  newDevice: setting(
    'NEW_DEVICE_MAIL',
    flag(),
    'true',
    'Whether users are notified by mail of a login from a new device.',
  ),
  queueMax: setting(
    'MAIL_QUEUE_MAX',
    integer(1, 100_000),
    '10000',
    'Maximum number of queued mails of one kind, over all hosts; further ones are dropped and counted.',
  ),
} as const;
