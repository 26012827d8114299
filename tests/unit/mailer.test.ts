import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tokenMail } from '../../src/auth/mail-texts';
import { createMailer } from '../../src/auth/mailer';
import { parseConfig } from '../../src/config';
import { createLogger } from '../../src/observability/logger';

const log = createLogger({ level: 'silent' });
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mails-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('in development mails are files that their owner alone can read', async () => {
  const mailer = createMailer(parseConfig({ DATA_DIR: directory }), log);
  await mailer.send(tokenMail('ada@example.org', 'reset-password', 'T'.repeat(43), 'http://localhost:3000'));
  const [name] = readdirSync(join(directory, 'mail')) as [string];
  const file = join(directory, 'mail', name);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, 'utf8')).toMatch(/^To: ada@example\.org$/m);
  expect(readFileSync(file, 'utf8')).toContain('http://localhost:3000/?purpose=reset-password#token=TTT');
});

test('elsewhere nothing is written without a mail server', async () => {
  const mailer = createMailer(parseConfig({ NODE_ENV: 'test', DATA_DIR: directory }), log);
  await mailer.send({ to: 'ada@example.org', subject: 'Hello', text: 'Hello' });
  expect(readdirSync(directory)).toEqual([]);
});
