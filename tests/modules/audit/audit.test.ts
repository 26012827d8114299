import { Writable } from 'node:stream';
import { type Connection, Types } from 'mongoose';
import { createAuditLog } from '../../../src/modules/audit/audit-log';
import { SAME_MAX } from '../../../src/modules/audit/budget';
import { auditSubscribers } from '../../../src/modules/audit/subscribers';
import type { ClientInfo } from '../../../src/platform/http/client-info';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { createMetrics } from '../../../src/platform/telemetry/metrics';

const client: ClientInfo = {
  network: '203.0.113.1',
  ipPrefix: '203.0.113.0/24',
  userAgent: 'probe/1',
  requestId: 'r1',
};

/**
 * A collection whose first `failures` inserts fail, after having stored what they were given when
 * `lostAnswers`.
 */
function collectionOf(options: { failures: number; lostAnswers?: boolean }) {
  const rows = new Map<string, unknown>();
  let failures = options.failures;
  const insertMany = async (batch: { _id: { toHexString(): string } }[]) => {
    const duplicate = batch.some((row) => rows.has(row._id.toHexString()));
    const fails = failures > 0;
    failures -= 1;
    if (!fails || options.lostAnswers === true)
      for (const row of batch) rows.set(row._id.toHexString(), row);
    if (fails) throw new Error('the connection was lost');
    if (duplicate) throw Object.assign(new Error('E11000 duplicate key'), { code: 11000 });
  };
  return { rows, connection: { collection: () => ({ insertMany }) } as unknown as Connection };
}

function auditOver(connection: Connection) {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const log = createLogger({ level: 'info' }, destination);
  const metrics = createMetrics();
  const audit = createAuditLog({
    connection,
    log,
    metrics,
    timeoutMs: 1000,
    ttlDays: 30,
    now: () => 1_800_000_000_000,
  });
  return { audit, lines, metrics };
}

test('events are stored with their time and the end of their keeping', async () => {
  const { rows, connection } = collectionOf({ failures: 0 });
  const { audit } = auditOver(connection);
  audit.record({ type: 'login', result: 'success', subject: 'u', client });
  await audit.close();
  const [row] = [...rows.values()] as [{ at: Date; until: Date }];
  expect(row).toMatchObject({
    type: 'login',
    result: 'success',
    subject: 'u',
    network: '203.0.113.1',
    userAgent: 'probe/1',
    requestId: 'r1',
  });
  expect(row.until.getTime() - row.at.getTime()).toBe(30 * 86_400_000);
});

test.each([[false], [true]])(
  'a store that fails for a while loses nothing and stores nothing twice (answers lost: %s)',
  async (lostAnswers) => {
    const { rows, connection } = collectionOf({ failures: 2, lostAnswers });
    const { audit, metrics } = auditOver(connection);
    for (let i = 0; i < 700; i += 1) audit.record({ type: 'login', result: 'success', client });
    await audit.flush();
    expect(rows.size).toBe(700);
    expect(await metrics.getSingleMetricAsString('auth_audit_lost_total')).toMatch(
      /auth_audit_lost_total 0/,
    );
  },
);

test('a flush stores the events that came right at the end of the one before', async () => {
  for (let turns = 0; turns < 30; turns += 1) {
    const { rows, connection } = collectionOf({ failures: 0 });
    const { audit } = auditOver(connection);
    audit.record({ type: 'login', result: 'success', client });
    void audit.flush();
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
    audit.record({ type: 'logout', result: 'success', client });
    await audit.flush();
    expect({ turns, stored: rows.size }).toEqual({ turns, stored: 2 });
    await audit.close();
  }
});

test('an end of a job that is told again is one row, whatever it was', async () => {
  const { rows, connection } = collectionOf({ failures: 0 });
  const { audit } = auditOver(connection);
  const { UsersImported } = auditSubscribers(audit);
  const jobs = Array.from({ length: SAME_MAX + 5 }, () => new Types.ObjectId().toHexString());
  for (const jobId of [...jobs, ...jobs]) {
    UsersImported?.({ actor: 'a', client, jobId, state: 'cancelled' });
    await audit.flush();
  }
  const stored = [...rows.values()].map((row) => (row as { subject: string }).subject);
  expect(stored.toSorted()).toEqual(jobs.toSorted());
  await audit.close();
});

test('refused requests of one kind are a few rows and one that counts the rest, stored at the latest at the end', async () => {
  const { rows, connection } = collectionOf({ failures: 0 });
  const { audit, metrics } = auditOver(connection);
  for (let i = 0; i < 700; i += 1) audit.record({ type: 'login', result: 'failure', client });
  await audit.flush();
  expect(rows.size).toBe(SAME_MAX);
  await audit.close();
  expect([...rows.values()].slice(SAME_MAX)).toEqual([
    expect.objectContaining({ type: 'login', count: 700 - SAME_MAX }),
  ]);
  expect(await metrics.getSingleMetricAsString('auth_events_total')).toContain(
    '{type="login",result="failure"} 700',
  );
});

test('a store that stays away costs no event: they are in the log, and counted', async () => {
  const { rows, connection } = collectionOf({ failures: 1000 });
  const { audit, lines, metrics } = auditOver(connection);
  for (let i = 0; i < 3; i += 1)
    audit.record({ type: 'login', result: 'failure', subject: `user-${i}`, client });
  await audit.flush();
  expect(rows.size).toBe(0);
  expect(lines.filter((line) => line.includes('could not be stored'))).toHaveLength(3);
  expect(lines.join('')).toContain('user-2');
  expect(await metrics.getSingleMetricAsString('auth_audit_lost_total')).toMatch(
    /auth_audit_lost_total 3/,
  );
});

test('a database that never answers delays no shutdown, and costs no event', async () => {
  const insertMany = () => new Promise(() => {});
  const collection = () => ({ insertMany });
  const { audit, lines, metrics } = auditOver({ collection } as unknown as Connection);
  for (let i = 0; i < 600; i += 1)
    audit.record({ type: 'login', result: 'success', subject: `user-${i}`, client });
  const began = performance.now();
  await audit.close();
  expect(performance.now() - began).toBeLessThan(5000);
  expect(lines.filter((line) => line.includes('could not be stored'))).toHaveLength(600);
  expect(await metrics.getSingleMetricAsString('auth_audit_lost_total')).toContain('total 600');
});

test('reuse of a refresh token is in the log at once', () => {
  const { connection } = collectionOf({ failures: 0 });
  const { audit, lines } = auditOver(connection);
  audit.record({
    type: 'refresh_token_reused',
    result: 'failure',
    subject: 'u',
    session: 's',
    client,
  });
  expect(lines.join('')).toMatch(/"level":"warn".*refresh_token_reused.*security event/);
});
