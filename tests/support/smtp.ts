import { fork } from 'node:child_process';
import { join } from 'node:path';
import { eventually } from './http';

interface ReceivedMail {
  readonly to: readonly string[];
  readonly subject: string;
  readonly messageId: string;
  /** Decoded plain text. */
  readonly text: string;
  /** Decoded HTML. */
  readonly html: string;
}

export interface TestSmtp {
  readonly url: string;
  readonly mails: readonly ReceivedMail[];
  /** The first mail to `to` with a matching subject, at or after index `from`. */
  waitFor(to: string, subject: RegExp, from?: number): Promise<ReceivedMail>;
  close(): Promise<void>;
}

export interface TestSmtpOptions {
  /** Number of mails that it first refuses with 451. */
  readonly failures?: number;
  /** Refuses recipients that contain this with a 550. */
  readonly reject?: string;
  readonly port?: number;
}

/** A real SMTP server in its own process. */
export async function startTestSmtp({
  failures = 0,
  reject,
  port: wanted = 0,
}: TestSmtpOptions = {}): Promise<TestSmtp> {
  const settings = {
    SMTP_FAILURES: String(failures),
    SMTP_PORT: String(wanted),
    ...(reject === undefined ? {} : { SMTP_REJECT: reject }),
  };
  const child = fork(join(__dirname, 'smtp-child.js'), {
    env: { ...process.env, ...settings, NODE_OPTIONS: '' },
  });
  const mails: ReceivedMail[] = [];
  const port = await new Promise<number>((resolve, rejectWith) => {
    child.once('error', rejectWith);
    child.once('exit', (code) => rejectWith(new Error(`the mail server ended with ${code}`)));
    child.on('message', (message: { port?: number; to?: string[]; raw?: string }) => {
      if (message.port !== undefined) resolve(message.port);
      else if (message.raw !== undefined) mails.push(parse(message.to ?? [], message.raw));
    });
  });
  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    waitFor: (to, subject, from = 0) =>
      eventually(`a mail to ${to} about ${subject}`, () =>
        mails.slice(from).find((mail) => mail.to.includes(to) && subject.test(mail.subject)),
      ),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function parse(to: string[], raw: string): ReceivedMail {
  const { header, body } = split(raw);
  const boundary = /boundary="?([^";\r\n]+)/.exec(header('Content-Type'))?.[1];
  const parts =
    boundary === undefined
      ? [raw]
      : body
          .split(`--${boundary}`)
          .slice(1, -1)
          .map((part) => part.replace(/^\r?\n/, ''));
  const decoded = parts
    .map(split)
    .map((part) => ({ type: part.header('Content-Type'), text: decode(part) }));
  const partOf = (type: string) => decoded.find((part) => part.type.startsWith(type))?.text ?? '';
  return {
    to,
    subject: header('Subject'),
    messageId: header('Message-ID'),
    text: partOf('text/plain'),
    html: partOf('text/html'),
  };
}

interface Part {
  header(name: string): string;
  readonly body: string;
}

function split(raw: string): Part {
  const [head = '', body = ''] = raw.split(/\r?\n\r?\n(.*)/s);
  const unfolded = head.replaceAll(/\r?\n[ \t]+/g, ' ');
  return {
    header: (name) => new RegExp(`^${name}: (.*)$`, 'im').exec(unfolded)?.[1]?.trim() ?? '',
    body,
  };
}

function decode({ header, body }: Part): string {
  const encoding = header('Content-Transfer-Encoding').toLowerCase();
  const bytes =
    encoding === 'base64'
      ? Buffer.from(body, 'base64')
      : encoding === 'quoted-printable'
        ? Buffer.from(
            body
              .replace(/=\r?\n/g, '')
              .replace(/=([0-9A-F]{2})/g, (_, hex: string) =>
                String.fromCharCode(Number.parseInt(hex, 16)),
              ),
            'latin1',
          )
        : Buffer.from(body);
  return bytes.toString('utf8').replaceAll('\r\n', '\n');
}
