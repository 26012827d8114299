import { fork } from 'node:child_process';
import { join } from 'node:path';
import { eventually } from './http';

export interface ReceivedMail {
  readonly to: readonly string[];
  readonly subject: string;
  /** Decoded text. */
  readonly text: string;
}

export interface TestSmtp {
  readonly url: string;
  readonly mails: readonly ReceivedMail[];
  /** The first mail to `to` whose subject matches, of those that came after the `from`th. */
  waitFor(to: string, subject: RegExp, from?: number): Promise<ReceivedMail>;
  close(): Promise<void>;
}

/** A real SMTP server in a process of its own. It refuses the first `failures` mails with a 451. */
export async function startTestSmtp(failures = 0): Promise<TestSmtp> {
  const child = fork(join(__dirname, 'smtp-child.js'), { env: { ...process.env, SMTP_FAILURES: String(failures), NODE_OPTIONS: '' } });
  const mails: ReceivedMail[] = [];
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the mail server ended with ${code}`)));
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
  const [head = '', body = ''] = raw.split(/\r?\n\r?\n(.*)/s);
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1] ?? '';
  const encoding = header('Content-Transfer-Encoding').toLowerCase();
  const text =
    encoding === 'base64'
      ? Buffer.from(body, 'base64').toString('utf8')
      : encoding === 'quoted-printable'
        ? body.replace(/=\r?\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
        : body;
  return { to, subject: header('Subject'), text: text.replaceAll('\r\n', '\n') };
}
