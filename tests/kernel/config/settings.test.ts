import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ConfigError,
  type Environment,
  loadConfig,
  parseConfig,
} from '../../../src/kernel/config/config';
import { describeMongoUri } from '../../../src/kernel/config/mongo-uri';
import { estimateBits, isPatterned } from '../../../src/kernel/config/secret-strength';

const STRONG = 'hT5-wK8.qL2_zN9+xC4/vB7=mJ1~pD6!';
const PRODUCTION = {
  NODE_ENV: 'production',
  MONGODB_URI: 'mongodb://db1,db2,db3/auth?replicaSet=rs0',
  KEY_ENCRYPTION_SECRET: STRONG,
  PUBLIC_URL: 'https://auth.example.org',
};

function textOf(work: () => unknown): string {
  try {
    work();
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}
/** The error message for these settings; '' when they are valid. */
const told = (environment: Environment) => textOf(() => parseConfig(environment));
const refused = (environment: Environment, name = Object.keys(environment)[0] ?? '') => {
  const text = told(environment);
  expect([environment, text]).toEqual([environment, expect.stringContaining(name)]);
  return text;
};

test('a complete production configuration is accepted', () => {
  expect(told(PRODUCTION)).toBe('');
});

test.each([
  '10s',
  '1e3',
  '0x10',
  'NaN',
  '-1',
  '3000.5',
  '+3000',
  '3_000',
  'Infinity',
  '99999999999999999999',
  '2147483648',
  '٣',
  'two',
  ' ',
])('a number must be plain decimal digits within its range: %j', (value) => {
  for (const name of [
    'PORT',
    'WORKER_STALL_MS',
    'SESSION_IDLE_TTL_SECONDS',
    'DB_POOL_MAX',
    'RATE_LIMIT_WINDOW_MS',
  ])
    refused({ [name]: value });
});

test.each([
  { HEADERS_TIMEOUT_MS: '20000' },
  { REQUEST_TIMEOUT_MS: '5000' },
  { WORKER_HEARTBEAT_MS: '8000' },
  { WORKER_STALL_MS: '1000' },
  { DB_CONNECT_WAIT_MS: '60000' },
  { WORKER_READY_TIMEOUT_MS: '5000' },
  { OPS_PORT: '3000' },
  { PORT: '9464' },
  { RESTART_BACKOFF_BASE_MS: '6000' },
  { DRAIN_TIMEOUT_MS: '20000' },
  { DB_POOL_MIN: '30' },
  { CACHE_WRITER_TTL_MS: '4000' },
  { NEAR_CACHE_TTL_MS: '8000' },
  { SOCKET_TIMEOUT_MS: '2050' },
  { REDIS_MODE: 'cluster' },
  { REDIS_SENTINEL_PASSWORD: 'x' },
  { EVENTS_REDIS_STREAM: 'true' },
  { SESSION_IDLE_TTL_SECONDS: '7776001' },
  {
    ACCESS_TOKEN_TTL_SECONDS: '901',
    SESSION_MAX_TTL_SECONDS: '600',
    SESSION_IDLE_TTL_SECONDS: '600',
  },
  { CACHE_NEGATIVE_TTL_SECONDS: '301' },
  { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318/v1/traces' },
  { REDIS_URL: 'redis://a,b' },
])('settings that contradict each other are refused: %j', (environment) => {
  refused(environment);
});

test('timeouts of a write must be consistent', () => {
  expect(told({ NEAR_CACHE_TTL_MS: '3000' })).toBe('');
  expect(
    told({
      NEAR_CACHE_TTL_MS: '60000',
      DRAIN_TIMEOUT_MS: '70000',
      SHUTDOWN_DEADLINE_MS: '80000',
      SOCKET_TIMEOUT_MS: '90000',
    }),
  ).toBe('');
  refused({ DB_OPERATION_TIMEOUT_MS: '5000' }, 'CACHE_WRITER_TTL_MS');
  refused({ REDIS_COMMAND_TIMEOUT_MS: '8000' }, 'CACHE_WRITER_TTL_MS');
  refused({ EVENTS_KEEP_DAYS: '4' }, 'EVENTS_KEEP_DAYS');
  refused({ EVENTS_KEEP_DAYS: '3', WEBHOOKS_DISABLE_AFTER_DAYS: '1' }, 'EVENTS_KEEP_DAYS');
  refused({ DB_OPERATION_TIMEOUT_MS: '30000', CACHE_WRITER_TTL_MS: '70000' }, 'SOCKET_TIMEOUT_MS');
  refused(
    { NEAR_CACHE_TTL_MS: '29000', DRAIN_TIMEOUT_MS: '40000', SHUTDOWN_DEADLINE_MS: '40000' },
    'SOCKET_TIMEOUT_MS',
  );
});

test('a database that MongoDB refuses is refused before', () => {
  const place = (path: string) => told({ MONGODB_URI: `mongodb://user:canary@db/${path}` });
  for (const path of [
    'au.th',
    'auth/x',
    'a%24b',
    'a%20b',
    'a%22',
    'x'.repeat(64),
    'local',
    'config',
  ])
    expect([path, place(path)]).toEqual([
      path,
      expect.stringMatching(/MONGODB_URI must name a database/),
    ]);
  expect(place('au.th')).not.toContain('canary');
  for (const path of ['x'.repeat(63), 'a-b_C9', 'admin', '', '?tls=true'])
    expect([path, place(path)]).toEqual([path, '']);
});

test('options of MONGODB_URI that fail only later are refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pem-'));
  const file = join(folder, 'text.pem');
  writeFileSync(file, 'no certificate');
  const options = (text: string) => told({ MONGODB_URI: `mongodb://db/auth?${text}` });
  expect(options(`tls=true&tlsCAFile=${folder}`)).toContain(
    'tlsCAFile that cannot be read (EISDIR)',
  );
  expect(options(`tls=true&tlsCAFile=${file}`)).toContain('is not in PEM form');
  rmSync(folder, { recursive: true });
  expect(options('timeoutMS=1')).toContain('DB_OPERATION_TIMEOUT_MS bounds each operation');
  expect(options('loadBalanced=true&replicaSet=rs0')).toContain('loadBalanced');
});

test('a fault of an optional setting names its form', () => {
  expect(refused({ WEBHOOKS_ALLOWED_NETWORKS: 'intranet' })).toContain('networks (CIDR)');
  expect(refused({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' })).toContain(
    'must be an absolute URL',
  );
});

test('a default lifetime gives way to a shorter limit', () => {
  expect(told({ SESSION_MAX_TTL_SECONDS: '86400', CACHE_TTL_SECONDS: '1' })).toBe('');
});

test('PORT and OPS_PORT may be equal on addresses that do not overlap', () => {
  expect(told({ HOST: '10.0.0.1', OPS_HOST: '127.0.0.1', OPS_PORT: '3000' })).toBe('');
  refused({ HOST: '127.0.0.1', OPS_HOST: 'localhost', OPS_PORT: '3000' }, 'OPS_PORT');
  expect(told({ PORT: '0', OPS_PORT: '0' })).toBe('');
});

test.each([
  [
    'everyone',
    [
      '0.0.0.0/0',
      '::/0',
      '0::0/0',
      '0.0.0.0/00',
      '0.0.0.0/0.0.0.0',
      '0.0.0.0/1,128.0.0.0/1',
      '::ffff:0:0/96',
      '::/80',
      '2000::/3',
    ],
  ],
  [
    'all addresses, split into sixteen or more networks',
    [Array.from({ length: 32 }, (_, i) => `${i * 4}.0.0.0/8`).join(',')],
  ],
  [
    'nothing',
    [
      '10.0.0.0/33',
      'fd00::/129',
      '999.1.1.1',
      '1.2.3',
      '10.0.0.1/',
      '10.0.0.1/8/8',
      '10.0.0.0/255.0.255.0',
      'fe80::1%eth0',
      'proxy',
      '1,2',
      '-1',
      '17',
      'true',
      'TRUE',
    ],
  ],
])('TRUST_PROXY does not trust %s', (_case, values) => {
  for (const value of values) refused({ TRUST_PROXY: value });
});

test('TRUST_PROXY accepts a number of hops, addresses and private networks', () => {
  for (const value of [
    '0',
    '2',
    'loopback,10.0.0.0/8',
    '192.168.0.0/16, fd00::/8',
    'fc00::/7',
    '10.0.0.0/255.0.0.0',
    '2a06:98c0::/29',
    '::ffff:10.0.0.0/104',
  ])
    expect([value, told({ TRUST_PROXY: value })]).toEqual([value, '']);
});

test('CORS_ORIGINS accepts origins as browsers send them, and suggests the correct form', () => {
  for (const value of [
    'https://app.example.org',
    'http://localhost:5173, https://b.example:8443',
    '*',
    'capacitor://localhost',
    '',
  ])
    expect([value, told({ CORS_ORIGINS: value })]).toEqual([value, '']);
  for (const value of [
    'https://app.example.org/',
    'https://app.example.org/x',
    'https://App.example.org',
    'https://app.example.org:443',
  ])
    expect(refused({ CORS_ORIGINS: value })).toContain('write https://app.example.org');
  for (const value of [
    'app.example.org',
    'null',
    '*,https://a.example',
    'https://*.example.org',
    'https://a b',
    'https://',
  ])
    refused({ CORS_ORIGINS: value });
});

test('URLs must be absolute and have the right scheme', () => {
  for (const name of ['PUBLIC_URL', 'ASSET_BASE_URL', 'MAIL_LINK_BASE', 'TOKEN_ISSUER'])
    for (const value of [
      'cdn.example.com',
      '//cdn.example.com',
      'ftp://x',
      'https://',
      'https:///x',
      'http://%',
      'https://a b',
      'https://a:99999',
      'https://a/#x',
      'javascript:alert(1)',
    ])
      expect(refused({ [name]: value })).toMatch(/must/);
  expect(refused({ PUBLIC_URL: 'https://user:canary@a.example' })).not.toContain('canary');
  expect(parseConfig({ ASSET_BASE_URL: 'https://cdn.example.com/x/' }).server.assetBaseUrl).toBe(
    'https://cdn.example.com/x',
  );
  for (const value of ['http://x', '0.0.0.0:3000', '[::1]', '1.2.3', 'a b', '-x'])
    refused({ HOST: value });
  for (const value of ['::1', '127.0.0.1', 'localhost', 'api_1.internal'])
    expect(told({ HOST: value })).toBe('');
});

test('a MongoDB URI that the driver rejects is a fault whose message does not quote the URI', () => {
  const wrong = [
    ...[
      'mongodb://',
      'mongodb:///x',
      'mongodb://h:99999/x',
      'mongodb://h:0/x',
      'mongodb://h:abc/x',
      'mongodb://h /x',
      'MONGODB://h/x',
      'localhost:27017',
    ],
    ...[
      'mongodb://user:can@canary@h/x',
      'mongodb://user:can/canary@h/x',
      'mongodb://:canary@h/x',
      'mongodb://u:%zz-canary@h/x',
    ],
    ...[
      'mongodb://u:canary@h/x?maxPoolSize=canary',
      'mongodb://u:canary@h/x?nonsense=1',
      'mongodb://u:canary@h/x?w=1&w=2',
      'mongodb+srv://u:canary@h.x.y:1/x',
    ],
    ...[
      'mongodb://u:canary@h,h2/x?directConnection=true',
      'mongodb://u:canary@h/x?readPreference=canary',
    ],
  ];
  for (const value of wrong) expect(refused({ MONGODB_URI: value })).not.toContain('canary');
  expect(refused({ MONGODB_URI: 'mongodb://h/x?retryWrite=true' })).toContain('retrywrite');
  // The driver would find these at each connection only.
  const late = [
    ['readPreference=secondaryPreferred&maxStalenessSeconds=120', 'must not have maxStaleness'],
    ['readpreference=secondary&readPreferenceTags=dc:ny', 'must not have readPreferenceTags'],
    ['tls=true&tlsCAFile=/nowhere.pem', 'names a file in tlsCAFile that cannot be read'],
    ['tls=true&tlsCertificateKeyFile=/nowhere.pem', 'in tlsCertificateKeyFile that cannot be read'],
  ];
  for (const [options, reason] of late)
    expect(refused({ MONGODB_URI: `mongodb://u:canary@h/x?${options}` })).toContain(reason);
  const folder = mkdtempSync(join(tmpdir(), 'pem-'));
  const pem = join(folder, 'ca.pem');
  writeFileSync(pem, '-----BEGIN CERTIFICATE-----\n');
  for (const value of [
    'mongodb://h',
    'mongodb+srv://u:p%40@a.b.c/x',
    'mongodb://[::1]:27017/x',
    'mongodb://%2Ftmp%2Fm.sock/auth?directConnection=true&w=1',
    `mongodb://h/x?tls=true&tlsCAFile=${encodeURIComponent(pem)}`,
  ])
    expect([value, told({ MONGODB_URI: value })]).toEqual([value, '']);
  rmSync(folder, { recursive: true });
});

test('a MongoDB URI is described without user, password and options', () => {
  expect(describeMongoUri('mongodb://u:p@db1:1,db2/auth?replicaSet=rs0')).toBe('db1:1,db2/auth');
  expect(describeMongoUri('mongodb+srv://u:p@c.example.net')).toBe('c.example.net/test');
  expect(describeMongoUri('mongodb://%2Ftmp%2Fm.sock/auth?w=1')).toBe('/tmp/m.sock/auth');
});

test('Redis and mail URLs are validated at start', () => {
  for (const value of [
    'redis://',
    'redis://h:99999',
    'redis://h:0',
    'redis://h/x',
    'redis://h?db=1',
    'http://h',
    'localhost:6379',
    'redis://:p%zz@h',
    'redis://a,b c',
  ])
    refused({ REDIS_URL: value });
  for (const value of [
    'smtp://',
    'smtp://h:99999',
    'http://h',
    'mail.example',
    'smtp://u:%zz@h',
    'smtp://h/x',
  ])
    refused({ SMTP_URL: value });
  for (const value of [
    'nobody',
    'a@b@c',
    'A <a@b>, B <b@c>',
    'A <a@b.example>\r\nBcc: x@y.example',
    '<>',
  ])
    refused({ MAIL_FROM: value });
  expect(
    told({
      MAIL_FROM: 'Accounts & more <no-reply@example.org>',
      SMTP_URL: 'smtp://u:p@h:25',
      REDIS_URL: 'redis://u:p@h:1/2',
    }),
  ).toBe('');
});

test('RUNTIME_DIR must be short enough for the paths of its sockets', () => {
  refused({ RUNTIME_DIR: `/tmp/${'x'.repeat(90)}` });
  refused({ RUNTIME_DIR: '  ' });
  expect(told({ RUNTIME_DIR: '/run/auth' })).toBe('');
});

describe('production refuses', () => {
  test.each([
    ['PUBLIC_URL', ['', 'http://auth.example.org', 'http://10.0.0.1']],
    ['TOKEN_ISSUER', ['http://auth.example.org']],
    ['MAIL_LINK_BASE', ['http://app.example.org']],
    ['ASSET_BASE_URL', ['http://cdn.example.org']],
    ['CORS_ORIGINS', ['null', 'https://a.example,null']],
    ['TRUST_PROXY', ['0.0.0.0/0', '::/0']],
    [
      'REDIS_URL',
      [
        'redis://redis:6379',
        'rediss://redis',
        'redis://user@redis',
        'redis://:@redis',
        'redis://10.0.0.1',
      ],
    ],
    [
      'SMTP_URL',
      [
        'smtp://mail.example',
        'smtp://u:p@mail.example:587?requireTLS=false',
        'smtp://mail.example?requireTLS=true&ignoreTLS=true',
        'smtps://mail.example?tls.rejectUnauthorized=false',
      ],
    ],
    ['BCRYPT_COST', ['9']],
    ['ARGON2_MEMORY_KIB', ['19455', '7167']],
    ['MONGODB_URI', ['']],
    ['KEY_ENCRYPTION_SECRET', ['']],
  ])('%s', (name, values) => {
    const argon2id = name.startsWith('ARGON2_') ? { PASSWORD_HASH: 'argon2id' } : {};
    for (const value of values) refused({ ...PRODUCTION, ...argon2id, [name]: value }, name);
  });

  test('of argon2id, less memory than with two passes needs as many more', () => {
    const argon2 = (memory: string, passes: string) => ({
      ...{ ...PRODUCTION, PASSWORD_HASH: 'argon2id' },
      ...{ ARGON2_MEMORY_KIB: memory, ARGON2_PASSES: passes },
    });
    for (const [memory, passes] of [
      ['47104', '1'],
      ['19456', '2'],
      ['12288', '3'],
      ['9216', '4'],
      ['7168', '5'],
    ] as const) {
      expect(told(argon2(memory, passes))).toBe('');
      refused(argon2(String(Number(memory) - 1), passes), 'ARGON2_MEMORY_KIB');
    }
  });

  test('connections to this machine without encryption and password: accepted', () => {
    const local = {
      PUBLIC_URL: 'http://localhost:8080',
      REDIS_URL: 'redis://127.0.0.1:6379',
      SMTP_URL: 'smtp://localhost:25',
    };
    expect(told({ ...PRODUCTION, ...local })).toBe('');
    const remote = {
      REDIS_URL: 'redis://:pw@redis:6379',
      SMTP_URL: 'smtp://mail.example:587?requireTLS=true',
    };
    expect(told({ ...PRODUCTION, ...remote })).toBe('');
  });

  test.each([
    '0123456789abcdef0123456789abcdef',
    'abcdefghijklmnopqrstuvwxyz123456',
    'qwertyuiopasdfghjklzxcvbnm123456',
    '1qaz2wsx3edc1qaz2wsx3edc1qaz2wsx',
    'my-super-secret-key-for-production!!',
    's3cr3t-k3y-f0r-pr0duct10n-us3-0nly',
    'P@ssw0rdP@ssw0rdP@ssw0rdP@ssw0rd',
    'Wq4Lx8Rn2Tc6Wq4Lx8Rn2Tc6Wq4Lx8Rn',
    'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6',
    'aaaabbbbccccddddeeeeffffgggghhhh',
    'a-string-secret-at-least-256-bits-long',
    'ThisIsMyVeryOwnSigningPhrase2024',
    '00000000-1111-2222-3333-444444444444',
  ])('the patterned secret %s', (secret) => {
    for (const name of ['KEY_ENCRYPTION_SECRET', 'JWT_SECRET']) {
      const text = told({ ...PRODUCTION, [name]: secret });
      expect(text).toContain(name);
      expect(text).not.toContain(secret);
    }
  });

  test('no random secret: all are accepted', () => {
    const makers = [
      () => randomBytes(16).toString('hex'),
      () => randomBytes(24).toString('base64'),
      () => randomBytes(32).toString('hex'),
    ];
    for (const make of makers)
      for (let i = 0; i < 300; i += 1) {
        const secret = make();
        expect([secret, estimateBits(secret), isPatterned(secret)]).toEqual([
          secret,
          expect.any(Number),
          false,
        ]);
      }
  });
});

describe('.env', () => {
  const folder = mkdtempSync(join(tmpdir(), 'env-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const load = (file: string, given: Environment = {}) => {
    writeFileSync(join(folder, '.env'), file);
    return textOf(() => loadConfig(given, { folder }));
  };

  test('misspelt names are reported with a suggestion, together with all other faults', () => {
    const text = load(
      'PROT=4000\nMONGO_URI=mongodb://h\nredis_url=redis://h\nDB_POOLMAX=3\nFROBNICATE=1\nWORKERS=two\n',
    );
    for (const [name, meant] of [
      ['PROT', 'PORT'],
      ['MONGO_URI', 'MONGODB_URI'],
      ['redis_url', 'REDIS_URL'],
      ['DB_POOLMAX', 'DB_POOL_MAX'],
    ])
      expect(text).toContain(
        `${name} is in .env, but is not a setting of this service: did you mean ${meant}?`,
      );
    expect(text).toContain('FROBNICATE ');
    expect(text).toContain('WORKERS must be');
  });

  test('names of settings, NAME_FILE forms and names of Compose are accepted', () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, STRONG);
    expect(
      load(
        `LOG_LEVEL=warn\nKEY_ENCRYPTION_SECRET_FILE=${secret}\nMONGO_PASSWORD=x\nEDGE_PUBLISH=80\nPM2_APP_NAME=x\n`,
      ),
    ).toBe('');
  });

  test('a value that an empty variable overrides is a fault', () => {
    expect(load('BODY_LIMIT_BYTES=2048\n', { BODY_LIMIT_BYTES: '' })).toContain(
      'BODY_LIMIT_BYTES is empty in the environment',
    );
    expect(load('BODY_LIMIT_BYTES=\n', { BODY_LIMIT_BYTES: '' })).toBe('');
    expect(load('BODY_LIMIT_BYTES=2048\n', { BODY_LIMIT_BYTES: '4096' })).toBe('');
  });

  test('a line that would be skipped, overwritten or cut off is a fault, and is not shown', () => {
    const text = load(
      'PORT=3001\nPORT=3002\ncanary\n# comment\nJWT_SECRET=canary#canary\nHOST_FILE=canary\n',
    );
    for (const fault of [
      '.env line 3 is neither NAME=value nor a comment',
      'PORT is in .env twice',
      'JWT_SECRET is cut off at # in .env: put the value in quotes',
      'HOST_FILE is in .env, but HOST is read from no file: set HOST',
    ])
      expect(text).toContain(fault);
    expect(text).not.toContain('canary');
    expect(load(`KEY_ENCRYPTION_SECRET='#a\n${STRONG}#b'`)).toContain('line breaks');
    expect(load("export LOG_LEVEL=warn # as usual\n\n  #x\nMAIL_FROM='a#b@example.org'\r\n")).toBe(
      '',
    );
    writeFileSync(join(folder, '.env'), Buffer.from('\uFEFFPORT=3001\n', 'utf16le'));
    expect(textOf(() => loadConfig({}, { folder }))).toContain('.env must be text in UTF-8');
  });

  test('an unreadable file is a fault', () => {
    expect(textOf(() => loadConfig({}, { folder: join(folder, '.env') }))).toMatch(
      /\.env cannot be read \(ENOTDIR\)/,
    );
  });
});

test('MODULES names the modules that a process serves, and JWKS_URL where it has no keys of its own', () => {
  const JWKS_URL = 'https://auth.example.org/.well-known/jwks.json';
  expect(parseConfig({ MODULES: 'auth, audit' }).server.modules).toEqual(['auth', 'audit']);
  expect(told({ ...PRODUCTION, MODULES: 'users', JWKS_URL })).toBe('');
  expect(told({ MODULES: 'users', JWKS_URL: 'http://127.0.0.1:3000/jwks' })).toBe('');
  expect(refused({ MODULES: 'users,mail' })).toContain('"mail" is none');
  expect(refused({ MODULES: 'auth,' })).toContain('"" is none');
  expect(refused({ MODULES: 'auth,auth' })).toContain('each module once');
  expect(refused({ MODULES: 'audit' })).toContain('auth or users beside audit');
  expect(refused({ MODULES: 'users' }, 'JWKS_URL')).toContain('must be set');
  expect(refused({ JWKS_URL })).toContain('must not be set where MODULES names auth');
  expect(refused({ JWKS_URL: 'http://auth/jwks', MODULES: 'users' })).toContain('must be https');
  expect(refused({ JWT_SECRET: STRONG, MODULES: 'users', JWKS_URL })).toContain('shared secret');
});
