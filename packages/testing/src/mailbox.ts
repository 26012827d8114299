import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

export interface ReceivedMail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  /** The addresses in the text, in their order. */
  readonly links: readonly string[];
  /** The codes of digits in the text, in their order, without spaces. */
  readonly codes: readonly string[];
}

export interface MailFilter {
  readonly to?: string;
  readonly subject?: string | RegExp;
}

export interface WaitOptions {
  readonly timeoutMs?: number;
}

export interface Mailbox {
  /** The mails sent so far, oldest first. */
  list(filter?: MailFilter): Promise<readonly ReceivedMail[]>;
  /** The newest mail that fits; waits for one where there is none. */
  waitFor(filter?: MailFilter, options?: WaitOptions): Promise<ReceivedMail>;
  /** Forgets what was sent so far. */
  clear(): Promise<void>;
}

const WAIT_MS = 5000;
const POLL_MS = 10;

/** Reads the folder into which the service writes its mails. */
export function openMailbox(folder: string): Mailbox {
  const seen = new Map<string, ReceivedMail>();

  /** The names begin with the time. */
  const names = async () => (await readdir(folder).catch(() => [])).sort();

  async function read(name: string): Promise<ReceivedMail | undefined> {
    const mail = seen.get(name) ?? parseMail(await readFile(join(folder, name), 'utf8'));
    // Undefined: not yet written to its end.
    if (mail !== undefined) seen.set(name, mail);
    return mail;
  }

  async function list(filter: MailFilter = {}): Promise<ReceivedMail[]> {
    assertNames('filter', filter, ['to', 'subject']);
    const mails = await Promise.all((await names()).map(read));
    return mails.flatMap((mail) => (mail !== undefined && fits(mail, filter) ? [mail] : []));
  }

  return {
    list,
    async waitFor(filter = {}, options = {}) {
      assertNames('options', options, ['timeoutMs']);
      const { timeoutMs = WAIT_MS } = options;
      const deadline = performance.now() + timeoutMs;
      for (;;) {
        const newest = (await list(filter)).at(-1);
        if (newest !== undefined) return newest;
        if (performance.now() > deadline) {
          const others = (await list()).map(({ to, subject }) => `${to}: ${subject}`);
          const wanted = JSON.stringify({ ...filter, subject: filter.subject?.toString() });
          throw new Error(
            `no mail ${wanted} within ${timeoutMs} ms; there are ${JSON.stringify(others)}`,
          );
        }
        await pause(POLL_MS);
      }
    },
    async clear() {
      seen.clear();
      for (const name of await names()) await rm(join(folder, name), { force: true });
    },
  };
}

/** A misspelt filter would fit every mail. */
function assertNames(whose: string, given: object, names: readonly string[]): void {
  const unknown = Object.keys(given).filter((name) => !names.includes(name));
  if (unknown.length > 0)
    throw new TypeError(`the ${whose} has ${names.join(' and ')}, and not ${unknown.join(', ')}`);
}

function fits(mail: ReceivedMail, { to, subject }: MailFilter): boolean {
  if (to !== undefined && mail.to !== to) return false;
  if (subject instanceof RegExp) return subject.test(mail.subject);
  return subject === undefined || mail.subject === subject;
}

function parseMail(file: string): ReceivedMail | undefined {
  const [, to, subject, text] = /^From: .*\nTo: (.*)\nSubject: (.*)\n\n([\s\S]+)$/.exec(file) ?? [];
  if (to === undefined || subject === undefined || text === undefined) return undefined;
  const links = text.match(/https?:\/\/[^\s<>"]+/g) ?? [];
  const prose = text.replaceAll(/https?:\/\/[^\s<>"]+/g, '');
  const codes = [...prose.matchAll(/(?<![\w-])(\d{3} ?\d{3}|\d{8})(?![\w-])/g)];
  return { to, subject, text, links, codes: codes.map(([code]) => code.replace(' ', '')) };
}
