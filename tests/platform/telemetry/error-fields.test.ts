import { createConnection, mongo } from 'mongoose';
import { parseConfig } from '../../../src/kernel/config/config';
import { databaseOptions, warnOfUri } from '../../../src/platform/mongo/connection';
import { errorFields } from '../../../src/platform/telemetry/error-fields';
import { createLogger, type Logger } from '../../../src/platform/telemetry/logger';

function logged(write: (log: Logger) => void): Record<string, unknown> {
  const lines: string[] = [];
  write(createLogger({ level: 'info' }, { write: (line: string) => lines.push(line) }));
  return JSON.parse(lines.join('')) as Record<string, unknown>;
}

test('an unreachable database: the log has the error of each server', async () => {
  const connection = createConnection();
  const failure = await connection
    .openUri('mongodb://127.0.0.1:9,localhost:10/x', { serverSelectionTimeoutMS: 1500 })
    .catch((error: unknown) => error);
  await connection.destroy();
  const line = logged((log) => log.error({ err: failure }, 'away'));
  expect(JSON.stringify(line)).not.toContain('unable to serialize');
  const { servers } = line['err'] as { servers: Record<string, string> };
  expect(Object.keys(servers).sort()).toEqual(['127.0.0.1:9', 'localhost:10']);
  for (const why of Object.values(servers)) expect(why).toMatch(/ECONNREFUSED/);
});

test('an aggregate is logged with causes and codes, without arbitrary properties', () => {
  const inner = Object.assign(new Error('connect ECONNREFUSED'), {
    code: 'ECONNREFUSED',
    syscall: 'connect',
    address: '::1',
    port: 9,
    secretive: 'canary',
  });
  const aggregate = new AggregateError([inner, new Error('second')], '', {
    cause: new TypeError('why'),
  });
  expect(errorFields(aggregate)).toMatchObject({
    type: 'AggregateError',
    errors: [
      { message: 'connect ECONNREFUSED', code: 'ECONNREFUSED', address: '::1', port: 9 },
      { message: 'second' },
    ],
    cause: { type: 'TypeError', message: 'why' },
    stack: expect.any(String),
  });
  expect(JSON.stringify(errorFields(aggregate))).not.toContain('canary');
  const duplicate = new mongo.MongoServerError({
    message: 'E11000',
    code: 11000,
    keyValue: { email: 'canary@example.org' },
  });
  expect(errorFields(duplicate)).toMatchObject({ code: 11000 });
  expect(JSON.stringify(errorFields(duplicate))).not.toContain('canary');
});

test('circular, deep and non-error values are bounded', () => {
  const circular: Error & { self?: unknown } = new Error('round');
  circular.cause = circular;
  circular.self = circular;
  expect(JSON.stringify(errorFields(circular)).length).toBeLessThan(20_000);
  expect(errorFields('text')).toBe('text');
  expect(
    (errorFields(new Error('x'.repeat(100_000))) as { message: string }).message.length,
  ).toBeLessThan(5000);
});

test('overridden options of MONGODB_URI are reported; disabled options stay disabled', () => {
  const warningsFor = (uri: string) => {
    const lines: string[] = [];
    warnOfUri(
      uri,
      parseConfig({}).database,
      createLogger({ level: 'warn' }, { write: (line: string) => lines.push(line) }),
    );
    return lines.join('');
  };
  expect(
    warningsFor('mongodb://h/auth?replicaSet=rs0&retryWrites=true&w=majority&maxPoolSize=20'),
  ).toBe('');
  const text = warningsFor(
    'mongodb://h/auth?maxPoolSize=5&readPreference=secondary&w=1&SOCKETTIMEOUTMS=1&j=false&wtimeout=7',
  );
  for (const part of [
    'maxPoolSize=5 (DB_POOL_MAX decides)',
    'readPreference=secondary',
    'w=1',
    'SOCKETTIMEOUTMS=1',
    'j=false',
    'wtimeout=7',
  ])
    expect(text).toContain(part);
  expect(warningsFor('mongodb://h')).toContain('names no database');
  expect(warningsFor('mongodb://h/?replicaSet=rs0')).toContain('names no database');
  const { database } = parseConfig({});
  expect(databaseOptions('mongodb://h/x?retryWrites=false', database)).toMatchObject({
    retryWrites: false,
    retryReads: true,
  });
});
