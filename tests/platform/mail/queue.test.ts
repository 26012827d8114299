import { type Connection, createConnection } from 'mongoose';
import { parseConfig } from '../../../src/kernel/config/config';
import { mailQueueIndexes } from '../../../src/platform/mail/mail-row';
import { createMailer, type Mailer } from '../../../src/platform/mail/mailer';
import { createMailMetrics } from '../../../src/platform/mail/metrics';
import { createMailQueue, type Envelope } from '../../../src/platform/mail/queue';
import { startMailSender } from '../../../src/platform/mail/sender';
import type { Mail } from '../../../src/platform/mail/templates';
import { ensureIndexes } from '../../../src/platform/mongo/indexes';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { createMetrics } from '../../../src/platform/telemetry/metrics';
import { eventually } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { freePort } from '../../support/service';
import { startTestSmtp } from '../../support/smtp';

const log = createLogger({ level: 'silent' });
const SECRET = 'the secret of this deployment, long enough';
let mongo: TestMongo;
let connection: Connection;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  mongo = await startTestMongo();
  connection = await createConnection(mongo.uri).asPromise();
  await ensureIndexes(connection, [mailQueueIndexes], log);
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await connection.collection('mail_queue').deleteMany({});
});
afterAll(async () => {
  await connection?.close();
  await mongo?.close();
});

const queueOf = ({ secret = SECRET, maxPerKind = 100 } = {}) =>
  createMailQueue(connection, { secrets: [secret], maxPerKind, timeoutMs: 2000 });
const stored = () => connection.collection('mail_queue').find().toArray();
let serial = 0;
const envelope = (fields: Partial<Envelope> = {}): Envelope => {
  serial += 1;
  return {
    kind: 'reset-password',
    account: `account-${serial}`,
    to: `user${serial}@example.org`,
    ...fields,
  };
};
const mailTo = (to: string): Mail => ({
  to,
  subject: '$Set a new password',
  text: 'https://a.example/#token=SECRET-TOKEN',
  html: '<p>$SECRET-TOKEN</p>',
});
const add = (queue: ReturnType<typeof queueOf>, one: Envelope, ttlSeconds = 600) =>
  queue.add(one, ttlSeconds, async () => mailTo(one.to));

function senderTo(mailer: Mailer, queue = queueOf()) {
  const registry = createMetrics();
  const metrics = createMailMetrics(registry, queue, ['reset-password']);
  const sender = startMailSender({ queue, mailer, metrics, log, pollMs: 30, retryBaseMs: 20 });
  closing.push(async () => {
    await sender.close();
    await mailer.close();
  });
  /** The sum over a metric's lines, or over those with this reason. */
  const figure = async (name: string, reason = '') => {
    const lines = (await registry.getSingleMetricAsString(`auth_mails_${name}`)).split('\n');
    const counted = lines.filter(
      (line) => !line.startsWith('#') && line.includes(reason === '' ? '' : `reason="${reason}"`),
    );
    return counted.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };
  return { sender, figure };
}
const smtpMailer = (url: string) =>
  createMailer(parseConfig({ SMTP_URL: url, SMTP_TIMEOUT_MS: '1000' }), log) as Mailer;

test('a mail is sent once when the mail server is back after several failed attempts', async () => {
  const port = await freePort();
  const queue = queueOf();
  const { figure } = senderTo(smtpMailer(`smtp://127.0.0.1:${port}`), queue);
  const one = envelope();
  await add(queue, one);
  await eventually('five attempts', async () => (await figure('retried_total')) >= 5);
  expect([await figure('waiting'), await figure('sent_total')]).toEqual([1, 0]);
  const smtp = await startTestSmtp({ port });
  closing.unshift(() => smtp.close());
  const received = await smtp.waitFor(one.to, /\$Set a new password/);
  expect(received.text).toContain('#token=SECRET-TOKEN');
  expect(received.html).toContain('<p>$SECRET-TOKEN</p>');
  await eventually('the empty queue', async () => (await stored()).length === 0);
  expect([smtp.mails.length, await figure('sent_total'), await figure('waiting')]).toEqual([
    1, 1, 0,
  ]);
});

test('a 451 is retried every time, a 550 to the recipient is not', async () => {
  const smtp = await startTestSmtp({ failures: 4, reject: 'nobody' });
  closing.push(() => smtp.close());
  const queue = queueOf();
  const { figure } = senderTo(smtpMailer(smtp.url), queue);
  const [one, nobody] = [envelope(), envelope({ to: 'nobody@example.org' })];
  await add(queue, one);
  await smtp.waitFor(one.to, /new password/);
  expect(await figure('retried_total')).toBe(4);
  await add(queue, nobody);
  await eventually('the drop', async () => (await figure('dropped_total', 'rejected')) === 1);
  expect([await figure('retried_total'), (await stored()).length, smtp.mails.length]).toEqual([
    4, 0, 1,
  ]);
});

test('after a sender is killed, another sends its mail when the lease expires, with the same Message-ID', async () => {
  const queue = queueOf();
  const one = envelope();
  await add(queue, one);
  const taken = await queue.take(400);
  expect([taken?.attempts, await queue.take(400)]).toEqual([1, undefined]);
  const smtp = await startTestSmtp();
  closing.push(() => smtp.close());
  senderTo(smtpMailer(smtp.url));
  const received = await smtp.waitFor(one.to, /new password/);
  expect(received.messageId).toBe(`<${taken?.id}@localhost.localdomain>`);
  // A sender that has lost the lease can neither release nor remove the mail.
  await taken?.release(0);
  await eventually('the empty queue', async () => (await stored()).length === 0);
});

test('several senders share the queue, and each mail is sent once', async () => {
  const smtp = await startTestSmtp();
  closing.push(() => smtp.close());
  const queue = queueOf();
  const all = Array.from({ length: 60 }, () => envelope());
  for (const one of all) await add(queue, one);
  const senders = [1, 2, 3].map(() => senderTo(smtpMailer(smtp.url)));
  for (const { sender } of senders) sender.kick();
  await eventually('all of them', () => smtp.mails.length >= 60);
  await eventually('the empty queue', async () => (await stored()).length === 0);
  expect(smtp.mails.flatMap(({ to }) => to).sort()).toEqual(all.map(({ to }) => to).sort());
});

test('an expired mail is not sent, and is counted as dropped', async () => {
  const smtp = await startTestSmtp();
  closing.push(() => smtp.close());
  const queue = queueOf();
  await add(queue, envelope(), 0);
  const { figure } = senderTo(smtpMailer(smtp.url), queue);
  await eventually('the drop', async () => (await figure('dropped_total', 'expired')) === 1);
  expect([smtp.mails.length, (await stored()).length]).toEqual([0, 0]);
});

test('a mail that is being retried is dropped as soon as it expires', async () => {
  const queue = queueOf();
  const { figure } = senderTo(smtpMailer(`smtp://127.0.0.1:${await freePort()}`), queue);
  await add(queue, envelope(), 1);
  await eventually('the drop', async () => (await figure('dropped_total', 'expired')) === 1, 5000);
  expect(await figure('retried_total')).toBeGreaterThan(0);
});

test('addresses and links are encrypted in the database; with another secret a mail is dropped, not sent', async () => {
  const queue = queueOf();
  const one = envelope({ to: 'Ada.Lovelace@example.org' });
  await add(queue, one);
  const rows = JSON.stringify(await stored());
  for (const part of ['lovelace', 'example.org', 'SECRET-TOKEN', 'a.example', 'password"}']) {
    expect(rows.toLowerCase()).not.toContain(part.toLowerCase());
    expect(rows).not.toContain(Buffer.from(part).toString('base64').slice(0, -3));
  }
  const { figure } = senderTo(
    smtpMailer(`smtp://127.0.0.1:${await freePort()}`),
    queueOf({ secret: 'another secret' }),
  );
  await eventually('the drop', async () => (await figure('dropped_total', 'unreadable')) === 1);
});

test('the queue is limited per kind and per recipient, and a refused mail is not rendered', async () => {
  const queue = queueOf({ maxPerKind: 25 });
  const to = 'crowded@example.org';
  const answers = [];
  for (let i = 0; i < 22; i += 1)
    answers.push(await add(queue, envelope({ to: i % 2 ? to : to.toUpperCase() })));
  expect(answers).toEqual([
    ...Array.from({ length: 20 }, () => undefined),
    'recipient_full',
    'recipient_full',
  ]);
  for (let i = 0; i < 5; i += 1) expect(await add(queue, envelope())).toBeUndefined();
  let made = 0;
  const refused = await queue.add(envelope(), 600, async () => {
    made += 1;
    return mailTo('ada@example.org');
  });
  expect([refused, made]).toEqual(['queue_full', 0]);
  expect(await add(queue, envelope({ kind: 'password-changed' }))).toBeUndefined();
  expect((await queue.backlog()).waiting).toBe(26);
});

test('cancelling removes the waiting mails of an account and kind', async () => {
  const queue = queueOf();
  const [one, other] = [envelope(), envelope()];
  await add(queue, one);
  await add(queue, { ...one, kind: 'verify-email' });
  await add(queue, other);
  expect(await queue.cancel(one.account, ['reset-password', 'change-email'])).toBe(1);
  expect((await stored()).map(({ account, kind }) => [account, kind])).toEqual([
    [one.account, 'verify-email'],
    [other.account, 'reset-password'],
  ]);
});
