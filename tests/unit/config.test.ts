import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError, parseConfig, settings } from '../../src/config';
import { environmentExample, settingsTable } from '../../src/settings/example';

function faultsOf(environment: Record<string, string>): Record<string, string> {
  try {
    parseConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return Object.fromEntries(error.faults.map(({ env, message }) => [env, message]));
    throw error;
  }
  return {};
}

test('an empty environment is a working development set-up', () => {
  const config = parseConfig({});
  expect(config.server.port).toBe(3000);
  expect(config.database.uri).toBeUndefined();
});

test('all faults at once, each naming its variable', () => {
  const faults = faultsOf({
    PORT: 'http',
    WORKERS: '0',
    NODE_ENV: 'prod',
    REDIS_URL: 'localhost:6379',
    TRUST_PROXY: 'true',
    JWT_SECRET: 'secret',
    DB_POOL_MIN: '30',
  });
  expect(Object.keys(faults).sort()).toEqual(['DB_POOL_MIN', 'JWT_SECRET', 'NODE_ENV', 'PORT', 'REDIS_URL', 'TRUST_PROXY', 'WORKERS']);
  expect(faults['PORT']).toContain('0 to 65535');
  expect(faults['TRUST_PROXY']).toContain('forge');
});

test('links in mails lead to where the service is', () => {
  const mails = { SMTP_URL: 'smtp://mail.example', MONGODB_URI: 'mongodb://db', KEY_ENCRYPTION_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ' };
  expect(faultsOf({ NODE_ENV: 'production', ...mails })).toEqual({ MAIL_LINK_BASE: expect.stringContaining('localhost') });
  for (const base of [{ MAIL_LINK_BASE: 'https://app.example/account' }, { PUBLIC_URL: 'https://api.example' }]) {
    expect(faultsOf({ NODE_ENV: 'production', ...mails, ...base })).toEqual({});
  }
  expect(Object.keys(faultsOf({ MAIL_LINK_BASE: 'http://%' }))).toEqual(['MAIL_LINK_BASE']);
});

test('a fault never shows a secret', () => {
  const faults = faultsOf({ JWT_SECRET: 'canary-short', MONGODB_URI: 'http://canary-user:canary-password@db' });
  expect(JSON.stringify(faults)).not.toContain('canary');
  expect(Object.keys(faults)).toEqual(expect.arrayContaining(['JWT_SECRET', 'MONGODB_URI']));
});

test('production refuses development defaults', () => {
  const faults = faultsOf({ NODE_ENV: 'production', BCRYPT_COST: '4' });
  expect(Object.keys(faults)).toEqual(expect.arrayContaining(['MONGODB_URI', 'BCRYPT_COST']));
  expect(Object.keys(faults).some((name) => /JWT_SECRET|KEY_ENCRYPTION_SECRET/.test(name))).toBe(true);
});

test('an empty variable is an unset one', () => {
  expect(parseConfig({ PORT: '', REDIS_URL: '' }).server.port).toBe(3000);
});

test.each([
  ['1', 1],
  ['false', false],
  ['loopback, 10.0.0.0/8', ['loopback', '10.0.0.0/8']],
])('TRUST_PROXY=%s', (value, expected) => {
  expect(parseConfig({ TRUST_PROXY: value }).server.trustProxy).toEqual(expected);
});

test('.env.example lists every setting with its default, and nothing else', () => {
  expect(readFileSync(resolve(__dirname, '../../../.env.example'), 'utf8')).toBe(environmentExample(settings));
});

test("the README's table is that of the settings", () => {
  expect(readFileSync(resolve(__dirname, '../../../README.md'), 'utf8')).toContain(settingsTable(settings));
});
