import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { addTotp } from '../../support/factors';
import { createClient, login, register } from '../../support/http';
import { redisAvailable, startTestRedis } from '../../support/redis';
import { root, startService } from '../../support/service';

const built = (...names: string[]) => path.join(root, 'dist', ...names);
let dir: string;
let settings: Record<string, string>;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'cli-'));
  settings = { DATA_DIR: path.join(dir, 'data'), BCRYPT_COST: '4', NODE_ENV: 'test' };
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function command(
  name: string,
  args: readonly string[],
  input = '',
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [built('cli', `${name}.js`), ...args], {
    cwd: dir,
    env: { PATH, HOME, ...settings },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => {
    output.stdout += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    output.stderr += data.toString();
  });
  child.stdin.end(input);
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, ...output })));
}

test('administrators are created before the service runs and while it runs; both can sign in', async () => {
  const before = await command(
    'admin',
    ['create', '--email', 'before@example.org', '--password-stdin'],
    'a password of my own\n',
  );
  expect([before.code, before.stderr]).toEqual([0, '']);
  const service = await startService({ entry: built('main.js'), env: settings, timeoutMs: 60_000 });
  try {
    const during = await command('admin', [
      'create',
      '--email',
      'during@example.org',
      '--generate',
    ]);
    expect([during.code, during.stderr]).toEqual([0, '']);
    const generated = /Password, shown only now: (\S+)/.exec(during.stdout)?.[1] ?? '';
    const client = createClient(service.url);
    for (const [email, password] of [
      ['before@example.org', 'a password of my own'],
      ['during@example.org', generated],
    ] as const) {
      const token = await login(client, email, password);
      expect((await client('GET', '/api/users?role=admin', { token })).status).toBe(200);
    }
    const again = await command('admin', ['create', '--email', 'DURING@example.org', '--generate']);
    expect([again.code, again.stderr]).toEqual([64, expect.stringContaining('exists already')]);

    const explained = await command('explain', []);
    expect([explained.code, explained.stderr]).toEqual([0, '']);
    expect(explained.stdout).toMatch(/^\d+ users\n/);
    expect(explained.stdout).not.toMatch(/^BAD/m);
    const keys = await command('keys', ['list']);
    expect([keys.code, keys.stdout]).toEqual([0, expect.stringContaining('ES256')]);
  } finally {
    await service.close();
  }
  expect((await command('explain', [])).code).toBe(0);
}, 120_000);

test('every command on accounts updates the services’ cache, names the database, and is audited', async () => {
  const redis = redisAvailable ? await startTestRedis() : undefined;
  const plain = settings;
  settings = {
    ...settings,
    ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
    DATA_DIR: path.join(dir, 'data-2'),
  };
  const service = await startService({
    entry: built('main.js'),
    env: { ...settings, RATE_LIMIT: 'false' },
    timeoutMs: 60_000,
  });
  const where = '(the embedded database in ';
  const done = async (...args: string[]) => {
    // A slow machine may be worth a warning: on standard error, as the output is read by programs.
    const { code, stdout } = await command('admin', args);
    expect([args, code]).toEqual([args, 0]);
    return stdout;
  };
  try {
    const client = createClient(service.url);
    const first =
      /created \(.*\)\.\nPassword, shown only now: (\S+)/.exec(
        await done('create', '--email', 'first@example.org', '--generate'),
      )?.[1] ?? '';
    const token = await login(client, 'first@example.org', first);
    const list = async (query: string) =>
      (await client('GET', `/api/users?${query}`, { token })).json as {
        data: { id: string; email: string; role: string }[];
      };
    // Cached pages that the next writes must renew.
    expect((await list('email=second@example.org')).data).toEqual([]);
    await list('role=admin');
    await done('create', '--email', 'second@example.org', '--name', 'Second', '--generate');
    const [second] = (await list('email=second@example.org')).data;
    expect(second?.role).toBe('admin');
    expect(await done('demote', '--email', 'second@example.org')).toContain(
      `second@example.org is no administrator now ${where}`,
    );
    expect((await list('role=admin')).data.map(({ email }) => email)).not.toContain(
      'second@example.org',
    );
    expect(await done('promote', '--id', second?.id ?? '')).toContain('is an administrator now');
    expect((await list('email=second@example.org')).data[0]?.role).toBe('admin');
    expect(await done('promote', '--id', second?.id ?? '')).toContain('already');

    const asRole = ['set-role', '--email', 'second@example.org', '--role'];
    expect(await done(...asRole, 'support')).toContain(
      `second@example.org has the role support now ${where}`,
    );
    expect(await done(...asRole, 'support')).toContain('has the role support already');
    expect((await list('role=support')).data.map(({ id }) => id)).toEqual([second?.id]);
    await done(...asRole, 'admin');

    await done('set-password', '--email', 'second@example.org', '--generate');
    const newPassword = async () => {
      const set = ['set-password', '--email', 'SECOND@example.org', '--generate'];
      return /Password, shown only now: (\S+)/.exec(await done(...set))?.[1] ?? '';
    };
    let shown = await newPassword();
    const other = await login(client, 'second@example.org', shown);
    await done('ban', '--email', 'second@example.org');
    expect((await client('GET', '/api/auth/profile', { token: other })).status).toBe(401);
    const until = ['--until', '2999-01-01T02:00:00+02:00', '--reason', 'spam'];
    expect(await done('ban', '--email', 'second@example.org', ...until)).toContain(
      'is banned until 2999-01-01T00:00:00.000Z',
    );
    await done('unban', '--email', 'second@example.org');
    await done('require-password-change', '--email', 'second@example.org');
    const body = { email: 'second@example.org', password: shown };
    const asked = await client('POST', '/api/auth/login', { body });
    expect(asked.json.code).toBe('password_change_required');
    shown = await newPassword();
    await addTotp(client, await login(client, 'second@example.org', shown));
    expect(await done('reset-factors', '--email', 'second@example.org')).toContain(
      'has no second factor any more',
    );
    expect(await login(client, 'second@example.org', shown)).toEqual(expect.any(String));

    for (let i = 0; i < 12; i += 1)
      await client('POST', '/api/auth/login', {
        body: { email: 'third@example.org', password: 'wrong wrong' },
      });
    await done('create', '--email', 'third@example.org', '--generate');
    const third =
      /shown only now: (\S+)/.exec(
        await done('set-password', '--email', 'third@example.org', '--generate'),
      )?.[1] ?? '';
    expect(await login(client, 'third@example.org', third)).toEqual(expect.any(String));
    const locked = {
      body: { email: 'second@example.org', password: 'wrong wrong' },
      headers: { 'user-agent': 'a stranger' },
    };
    for (let i = 0; i < 12; i += 1) await client('POST', '/api/auth/login', locked);
    expect(
      (
        await client('POST', '/api/auth/login', {
          ...locked,
          body: { email: 'second@example.org', password: shown },
        })
      ).status,
    ).toBe(429);
    expect(await done('unlock', '--email', 'second@example.org')).toContain(`is unlocked ${where}`);
    expect(
      (
        await client('POST', '/api/auth/login', {
          ...locked,
          body: { email: 'second@example.org', password: shown },
        })
      ).status,
    ).toBe(200);

    const listed = await done('list', '--role', 'admin');
    expect(listed).toMatch(/^[0-9a-f]{24} {2}admin {2}active {2}second@example\.org {2}Second$/m);
    expect(JSON.parse(await done('list', '--json', '--limit', '2'))).toHaveLength(2);

    const refreshed = await login(client, 'first@example.org', first);
    const events = (
      (await client('GET', '/api/audit-events?limit=100', { token: refreshed })).json as {
        data: { type: string; actor: string | null; subject: string }[];
      }
    ).data;
    const byCli = events.filter(({ actor }) => /^cli:.+/.test(actor ?? ''));
    for (const type of [
      'account_created',
      'role_set',
      'password_set',
      'account_banned',
      'account_unbanned',
      'account_unlocked',
    ])
      expect([
        type,
        byCli.some((event) => event.type === type && /^[0-9a-f]{24}$/.test(event.subject)),
      ]).toEqual([type, true]);
    if (redis !== undefined) {
      settings = { ...settings, REDIS_URL: '' };
      expect(await command('admin', ['unlock', '--email', 'second@example.org'])).toMatchObject({
        code: 64,
        stderr: expect.stringContaining('REDIS_URL'),
      });
    }
  } finally {
    settings = plain;
    await service.close();
    await redis?.close();
  }
}, 180_000);

test('the last administrator cannot be demoted, and a refused command writes nothing', async () => {
  const plain = settings;
  settings = { ...settings, DATA_DIR: path.join(dir, 'data-3') };
  try {
    await command('admin', ['create', '--email', 'only@example.org', '--generate']);
    for (const args of [['demote'], ['set-role', '--role', 'support'], ['ban']])
      expect(await command('admin', [...args, '--email', 'only@example.org'])).toMatchObject({
        code: 64,
        stderr: expect.stringContaining('last administrator'),
      });
    const { stdout } = await command('admin', ['list', '--json']);
    expect(JSON.parse(stdout)).toEqual([
      expect.objectContaining({ email: 'only@example.org', role: 'admin', status: 'active' }),
    ]);
  } finally {
    settings = plain;
  }
}, 120_000);

test.each([
  [[], 'A command is missing'],
  [['remove', '--email', 'a@example.org'], 'Unknown command "remove"'],
  [['create'], '--email is missing'],
  [['create', '--email', 'nonsense', '--generate'], '--email must be an e-mail address'],
  [['create', '--email'], '--email'],
  [['create', '--emial', 'a@example.org'], '--emial'],
  [['create', '--email', 'a@example.org', 'extra', '--generate'], '"extra"'],
  [['create', '--email', 'a@example.org', '--generate', '--password-stdin'], 'not both'],
  [['ban'], '--email or by --id'],
  [['ban', '--email', 'a@example.org', '--id', '652f1c3e9b1d4a0012ab34cd'], '--email or by --id'],
  [['ban', '--email', 'a@example.org', '--until', 'tomorrow'], '--until must be a time'],
  [['ban', '--email', 'a@example.org', '--reason', 'x'.repeat(501)], '--reason must have at most'],
  [['promote', '--id', 'x'], '--id must be 24 hexadecimal digits'],
  [['list', '--role', 'root'], '--role must be one of user, support, admin'],
  [['set-role', '--email', 'a@example.org'], '--role is missing'],
  [['set-role', '--email', 'a@example.org', '--role', 'root'], '--role must be one of'],
  [['set-role', '--role', 'support'], '--email or by --id'],
  [['list', '--limit', '0'], '--limit must be'],
  [['ban', '--email', 'nobody@example.org'], 'No account has the e-mail nobody@example.org'],
])(
  '%j: the message names the fault, exit code 64',
  async (args, named) => {
    const { code, stderr } = await command('admin', args);
    expect([code, stderr]).toEqual([64, expect.stringContaining(named)]);
    expect(stderr).toContain('Usage');
  },
  60_000,
);

test('weak passwords are refused', async () => {
  for (const [password, why] of [
    ['short', 'at least 8 characters'],
    ['weak@example.org', 'must not be the name or the e-mail'],
  ] as const) {
    const weak = await command(
      'admin',
      ['create', '--email', 'weak@example.org', '--password-stdin'],
      `${password}\n`,
    );
    expect([weak.code, weak.stderr]).toEqual([64, expect.stringContaining(why)]);
  }
});

test('exit codes: --help 0, an invalid setting 78, an unreachable database 69', async () => {
  for (const name of ['admin', 'keys']) {
    const { code, stdout, stderr } = await command(name, ['--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Exit codes:\n {2}0 {3}done\n {2}64/m);
  }
  const plain = settings;
  try {
    settings = {
      ...plain,
      MONGODB_URI: 'mongodb://user:canary@127.0.0.1:9/x',
      DB_CONNECT_WAIT_MS: '200',
      DB_SERVER_SELECTION_TIMEOUT_MS: '200',
    };
    const away = await command('admin', ['list']);
    expect(away.code).toBe(69);
    expect(away.stderr).not.toContain('canary');
    settings = { ...plain, PORT: 'many' };
    expect(await command('keys', ['list'])).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('PORT'),
    });
  } finally {
    settings = plain;
  }
});

(redisAvailable ? test.each : test.skip.each)([
  ['without REDIS_URL', () => ''],
  ['with another database number', (url: string) => `${url}/3`],
])(
  'a ban %s applies to tokens in Redis and in local cache entries once the command has returned',
  async (_, redisUrl) => {
    const redis = await startTestRedis();
    const plain = settings;
    settings = { ...settings, DATA_DIR: mkdtempSync(path.join(dir, 'ban-')) };
    const env = {
      ...settings,
      REDIS_URL: redis.url,
      NEAR_CACHE_TTL_MS: '500',
      RATE_LIMIT: 'false',
    };
    const service = await startService({ entry: built('main.js'), env, timeoutMs: 60_000 });
    try {
      const client = createClient(service.url);
      const { access_token: token, user } = await register(client);
      const statusOf = async () => (await client('GET', '/api/users/me', { token })).status;
      let on = true;
      // The user stays in Redis and in every worker's local cache entries meanwhile.
      const busy = Promise.all(
        [1, 2, 3].map(async () => {
          while (on) await statusOf();
        }),
      );
      settings = { ...settings, REDIS_URL: redisUrl(redis.url), NEAR_CACHE_TTL_MS: '0' };
      const { code, stdout } = await command('admin', ['ban', '--email', user.email]);
      const after = await Promise.all(Array.from({ length: 20 }, statusOf));
      on = false;
      await busy;
      expect([code, stdout]).toEqual([0, expect.stringContaining('is banned')]);
      expect(new Set(after)).toEqual(new Set([401]));
    } finally {
      settings = plain;
      await service.close();
      await redis.close();
    }
  },
  120_000,
);
