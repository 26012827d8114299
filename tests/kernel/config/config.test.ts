import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  ConfigError,
  environmentWarnings,
  parseConfig,
  settings,
} from '../../../src/kernel/config/config';
import { environmentExample, settingsTables } from '../../../src/kernel/config/example';

function faultsOf(environment: Record<string, string>): Record<string, string> {
  try {
    parseConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError)
      return Object.fromEntries(error.faults.map(({ env, message }) => [env, message]));
    throw error;
  }
  return {};
}

test('an empty environment gives a valid development configuration', () => {
  const config = parseConfig({});
  expect(config.server.port).toBe(3000);
  expect(config.database.uri).toBeUndefined();
});

test('reports all faults at once, each with its variable', () => {
  const faults = faultsOf({
    PORT: 'http',
    WORKERS: '0',
    NODE_ENV: 'prod',
    REDIS_URL: 'localhost:6379',
    TRUST_PROXY: 'true',
    JWT_SECRET: 'secret',
    DB_POOL_MIN: '30',
  });
  expect(Object.keys(faults).sort()).toEqual([
    'DB_POOL_MIN',
    'JWT_SECRET',
    'NODE_ENV',
    'PORT',
    'REDIS_URL',
    'TRUST_PROXY',
    'WORKERS',
  ]);
  expect(faults['PORT']).toContain('0 to 65535');
  expect(faults['TRUST_PROXY']).toContain('forge');
});

test('a fault never shows a secret', () => {
  const faults = faultsOf({
    JWT_SECRET: 'canary-short',
    MONGODB_URI: 'http://canary-user:canary-password@db',
  });
  expect(JSON.stringify(faults)).not.toContain('canary');
  expect(Object.keys(faults)).toEqual(expect.arrayContaining(['JWT_SECRET', 'MONGODB_URI']));
});

test('production refuses development defaults', () => {
  const faults = faultsOf({ NODE_ENV: 'production', BCRYPT_COST: '4' });
  expect(Object.keys(faults)).toEqual(expect.arrayContaining(['MONGODB_URI', 'BCRYPT_COST']));
  expect(Object.keys(faults).some((name) => /JWT_SECRET|KEY_ENCRYPTION_SECRET/.test(name))).toBe(
    true,
  );
});

test('an empty variable counts as unset', () => {
  expect(parseConfig({ PORT: '', REDIS_URL: '' }).server.port).toBe(3000);
});

test.each([
  ['1', 1],
  ['false', false],
  ['loopback, 10.0.0.0/8', ['loopback', '10.0.0.0/8']],
])('TRUST_PROXY=%s', (value, expected) => {
  expect(parseConfig({ TRUST_PROXY: value }).server.trustProxy).toEqual(expected);
});

test('.env.example lists exactly the settings, with their defaults', () => {
  expect(readFileSync(resolve(__dirname, '../../../../.env.example'), 'utf8')).toBe(
    environmentExample(settings),
  );
});

test('docs/configuration.md contains the generated tables of the settings', () => {
  const text = readFileSync(resolve(__dirname, '../../../../docs/configuration.md'), 'utf8');
  expect(text).toContain(`<!-- settings -->\n${settingsTables(settings)}<!-- /settings -->`);
  const rows = [...text.matchAll(/^\| `([A-Z][A-Z0-9_]*)` \|/gm)].map(([, env]) => env);
  const names = Object.values(settings).flatMap((section) =>
    Object.values(section).map(({ env }) => env),
  );
  expect(rows).toEqual(names);
});

describe('names in the environment that look like misspelt settings', () => {
  test.each([
    ['MONGODB_URL', 'MONGODB_URI'],
    ['REDIS_URI', 'REDIS_URL'],
    ['JWT_SECERT', 'JWT_SECRET'],
    ['WORKER', 'WORKERS'],
    ['JWT_SECRET_FIL', 'JWT_SECRET_FILE'],
    ['PUBLIC_URL_FILE', 'PUBLIC_URL'],
    ['OTEL_TRACES_SAMPLER', 'OTEL_TRACES_SAMPLER_ARG'],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'],
  ])('%s: warns and suggests %s', (env, meant) => {
    expect(environmentWarnings({ [env]: 'x' })).toEqual([{ env, meant }]);
  });

  test.each([
    ['a setting', { REDIS_URL: 'x', JWT_SECRET_FILE: 'x' }],
    ['two edits away', { MONGO_URI: 'x', PUBLIC_URI_X: 'x' }],
    ['beside the setting itself', { REDIS_URI: 'x', REDIS_URL: 'x' }],
    ['with its argument', { OTEL_TRACES_SAMPLER: 'x', OTEL_TRACES_SAMPLER_ARG: '1' }],
    ['a short name', { HOSTS: 'x', PORTS: 'x', POST: 'x' }],
    ['of another program', { REDIS_PASSWORD: 'x', REDIS_IMAGE: 'x' }],
    [
      'of the system, of Kubernetes and of CI',
      {
        ...{ PATH: 'x', HOME: 'x', HOSTNAME: 'x', LOGNAME: 'x', MAIL: 'x', TERM: 'x', SHLVL: '1' },
        ...{ REDIS_PORT: 'x', REDIS_SERVICE_HOST: 'x', API_PORT: 'x', REDIS_PORT_6379_TCP: 'x' },
        ...{ NODE_OPTIONS: 'x', NODE_PATH: 'x', LOG_FORMAT: 'x', npm_config_port: 'x' },
      },
    ],
  ])('%s: no warning', (_case, environment) => {
    expect(environmentWarnings(environment)).toEqual([]);
  });
});

test('BROWSER_ORIGINS are named web origins of the site of PUBLIC_URL', () => {
  const publicUrl = 'https://api.example.com';
  const faultOf = (BROWSER_ORIGINS: string, PUBLIC_URL = publicUrl) =>
    faultsOf({ BROWSER_ORIGINS, PUBLIC_URL })['BROWSER_ORIGINS'];
  for (const [origins, reason] of [
    ['*', '* is not allowed'],
    ['https://*.example.com', '* is not allowed'],
    ['null', 'sandboxed'],
    ['https://app.example.com/', 'write https://app.example.com'],
    ['capacitor://localhost', 'not the origin of a web page'],
    ['app.example.com', 'is not an origin'],
    ['https://app.example.com,https://app.example.org', 'keep SameSite cookies'],
    ['http://app.example.com', 'keep SameSite cookies'],
    ['https://com', 'keep SameSite cookies'],
  ] as const)
    expect([origins, faultOf(origins)]).toEqual([origins, expect.stringContaining(reason)]);
  expect(faultOf('https://10.0.0.1', 'https://10.1.0.1')).toContain('keep SameSite cookies');
  for (const [origins, url] of [
    ['https://app.example.com, https://example.com', publicUrl],
    ['https://api.example.com:8443', publicUrl],
    ['http://localhost:5173', 'http://localhost:3000'],
  ] as const)
    expect(parseConfig({ BROWSER_ORIGINS: origins, PUBLIC_URL: url }).browser.origins[0]).toBe(
      origins.split(',')[0],
    );
});
