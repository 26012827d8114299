import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../../../src/kernel/config/config';
import { createMailer, isRejection } from '../../../src/platform/mail/mailer';
import { createLogger } from '../../../src/platform/telemetry/logger';

const log = createLogger({ level: 'silent' });
const mail = {
  to: 'ada@example.org',
  subject: 'Hello',
  text: 'Open http://localhost:3000/account#token=TTT',
  html: '<p>Hello</p>',
};
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mails-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('in development a mail is a file that only its owner can read', async () => {
  await createMailer(parseConfig({ DATA_DIR: directory }), log)?.send('1', mail);
  const [name] = readdirSync(join(directory, 'mail')) as [string];
  const file = join(directory, 'mail', name);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, 'utf8')).toMatch(/^To: ada@example\.org$/m);
  expect(readFileSync(file, 'utf8')).toContain(mail.text);
});

test.each(['test', 'production'])(
  '%s without a mail server has no mailer, so no mail counts as sent',
  (environment) => {
    const settings = {
      MONGODB_URI: 'mongodb://db/auth',
      JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ',
      PUBLIC_URL: 'https://a.example',
    };
    const config = { ...parseConfig({ ...settings, DATA_DIR: directory }) };
    expect(
      createMailer(
        { ...config, server: { ...config.server, environment: environment as 'test' } },
        log,
      ),
    ).toBeUndefined();
    expect(readdirSync(directory)).toEqual([]);
  },
);

test.each([
  ['recipient refused permanently', { command: 'RCPT TO', responseCode: 550 }, true],
  ['content refused permanently', { command: 'DATA', responseCode: 554 }, true],
  ['recipient refused temporarily', { command: 'RCPT TO', responseCode: 450 }, false],
  ['content refused temporarily', { command: 'DATA', responseCode: 451 }, false],
  ['our login refused', { command: 'AUTH PLAIN', responseCode: 535 }, false],
  ['our sender address refused', { command: 'MAIL FROM', responseCode: 553 }, false],
  ['connection refused in the greeting', { command: 'CONN', responseCode: 554 }, false],
  ['no connection', { command: 'CONN', code: 'ECONNREFUSED' }, false],
])('%s: is a rejection of the mail? %#', (_what, fields, last) => {
  expect(isRejection(Object.assign(new Error('no'), fields))).toBe(last);
});
