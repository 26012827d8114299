import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Report } from '../../../src/app/doctor/finding';
import { settings } from '../../../src/kernel/config/config';
import { environmentExample } from '../../../src/kernel/config/example';
import { renderNginx } from '../../support/balancers';
import { diagnose, runDoctor } from '../../support/doctor';
import { root } from '../../support/service';
import { describeWith } from '../../support/tools';

const folder = mkdtempSync(path.join(tmpdir(), 'doctor-files-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const shipped = (file: string) => path.join(root, file);
let count = 0;

/** A settings file of one host. */
function envFile(values: Readonly<Record<string, string>>): string {
  count += 1;
  const file = path.join(folder, `host${count}.env`);
  writeFileSync(
    file,
    Object.entries(values)
      .map(([name, value]) => `${name}='${value}'\n`)
      .join(''),
  );
  return file;
}

/** Settings of production without a fault. */
const SOUND = {
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://id.example.org',
  MONGODB_URI: 'mongodb://api:pw@db1,db2,db3/auth?replicaSet=rs0',
  REDIS_URL: 'rediss://:pw@redis:6379/0',
  KEY_ENCRYPTION_SECRET: 'pF7cJ2vYq9Ls4XwB8nRk3TdZ6mHg1EaU5oVi',
  TRUST_PROXY: '1',
};

describe('the shipped files have no finding', () => {
  /** `environment` of the API in compose.yaml, with fresh secrets and the defaults of the file. */
  function composeSettings(): Record<string, string> {
    const secrets = Object.fromEntries(
      execFileSync('sh', [shipped('deploy/compose/make-secrets.sh')], { encoding: 'utf8' })
        .trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/s) as [string, string]),
    );
    const block = /x-api: &api\n([\s\S]*?)\n\nservices:/.exec(read('compose.yaml'))?.[1] ?? '';
    const lines = (block.split('  environment:\n')[1] ?? '').matchAll(/^ {4}([A-Z_]+): (.*)$/gm);
    return Object.fromEntries(
      [...lines].map(([, name = '', value = '']) => [
        name,
        value
          .replaceAll(/^"|"$/g, '')
          .replaceAll(
            /\$\{(\w+)(?::[-?]([^}]*))?\}/g,
            (_all, key: string, fallback = '') => secrets[key] ?? fallback,
          ),
      ]),
    );
  }

  function kubernetesSettings(): Record<string, string> {
    const literals = read('deploy/kubernetes/base/kustomization.yaml').matchAll(
      /^ +- ([A-Z_]+)=(.*)$/gm,
    );
    const { MONGODB_URI, REDIS_URL, KEY_ENCRYPTION_SECRET } = SOUND;
    return {
      ...Object.fromEntries([...literals].map(([, name = '', value = '']) => [name, value])),
      ...{ MONGODB_URI, REDIS_URL, KEY_ENCRYPTION_SECRET },
    };
  }

  test('.env.example, Compose and Kubernetes', async () => {
    const example = path.join(folder, 'example.env');
    writeFileSync(example, environmentExample(settings));
    const compose = composeSettings();
    expect(compose).toMatchObject({ NODE_ENV: 'production', TRUST_PROXY: '1' });
    const files = [example, envFile(compose), envFile(kubernetesSettings())];
    for (const file of files) {
      const { report } = await diagnose('--env', file, '--settings-only');
      expect([file, report.findings]).toEqual([file, []]);
      expect(report.passed).toEqual(expect.arrayContaining(['settings', 'keep-alive']));
    }
  });

  test('the ecosystem file of PM2, also where the settings give a shutdown more time', async () => {
    for (const deadline of ['10000', '40000']) {
      const env = { SHUTDOWN_DEADLINE_MS: deadline, NODE_ENV: 'development' };
      const args = ['--pm2', shipped('ecosystem.config.js'), '--settings-only', '--json'];
      const { code, stdout } = await runDoctor(args, env);
      expect(code).toBe(0);
      expect((JSON.parse(stdout) as Report).passed).toEqual(
        expect.arrayContaining(['pm2-kill-timeout', 'pm2-wait-ready']),
      );
    }
  });

  test('hosts with the same settings', async () => {
    const { found } = await diagnose(
      '--env',
      [SOUND, { ...SOUND, PORT: '3001' }].map(envFile).join(','),
      '--settings-only',
    );
    expect(found).toEqual([]);
  });

  test('a change of KEY_ENCRYPTION_SECRET under way', async () => {
    const next = { KEY_ENCRYPTION_SECRET: 'Zr8mQx3Kt6Wp1Vn9Lc4Hy7Jb2Gf5DsAe0Tui' };
    const both = { ...SOUND, ...next, KEY_ENCRYPTION_SECRET_PREVIOUS: SOUND.KEY_ENCRYPTION_SECRET };
    const args = ['--env', [SOUND, both].map(envFile).join(','), '--settings-only'];
    expect((await diagnose(...args)).found).toEqual([]);
  });
});

describeWith(['nginx', 'haproxy'], 'the edge', () => {
  const edge = async (kind: 'nginx' | 'haproxy', file: string) => {
    const args = [`--${kind}`, file, '--env', envFile(SOUND), '--settings-only'];
    return (await diagnose(...args)).report;
  };
  const checked = 'edge-repeats-writes';

  /** The configuration of the container, with one change. */
  function nginx(edit: (text: string, file: string) => string = (text) => text): string {
    const target = mkdtempSync(path.join(folder, 'nginx-'));
    renderNginx(target, { hosts: ['api1:3000', 'api2:3000'], port: 8080, edit });
    return path.join(target, 'nginx.conf');
  }
  const replaced = (from: string | RegExp, to: string, within: string) => {
    let changes = 0;
    const edit = (text: string, file: string) => {
      const after = file === within ? text.replace(from, to) : text;
      if (after !== text) changes += 1;
      return after;
    };
    const made = nginx(edit);
    expect(changes).toBe(1);
    return made;
  };

  test('shipped NGINX (both forms) and HAProxy: each write is sent once', async () => {
    for (const report of [
      await edge('nginx', shipped('nginx/nginx.conf')),
      await edge('nginx', nginx()),
      await edge('haproxy', shipped('haproxy/haproxy.cfg')),
    ]) {
      expect(report.findings).toEqual([]);
      expect(report.skipped).toEqual([]);
      expect(report.passed).toContain(checked);
    }
  });

  test('NGINX that repeats POST and PATCH (non_idempotent)', async () => {
    const { findings } = await edge(
      'nginx',
      replaced(
        /proxy_next_upstream error timeout;/,
        'proxy_next_upstream error timeout non_idempotent;',
        'snippets/server.conf',
      ),
    );
    expect(findings).toMatchObject([{ check: checked, severity: 'fault' }]);
    expect(findings[0]?.seen).toMatch(/POST \d times, PATCH \d times$/);
  });

  test('NGINX that repeats PUT and DELETE (its default)', async () => {
    const { findings } = await edge(
      'nginx',
      replaced(/default careful;/, 'default write;', 'snippets/http.conf'),
    );
    expect(findings[0]?.seen).toMatch(/PUT \d times, DELETE \d times$/);
  });

  test('HAProxy that repeats writes (retry-on all-retryable-errors)', async () => {
    const file = path.join(folder, 'repeats.cfg');
    const text = read('haproxy/haproxy.cfg');
    writeFileSync(
      file,
      text.replaceAll(/retry-on conn-failure$/gm, 'retry-on all-retryable-errors'),
    );
    expect((await edge('haproxy', file)).findings).toMatchObject([{ check: checked }]);
  });

  test('a minimal NGINX of a tutorial, and its keep-alive longer than the service’s', async () => {
    const target = path.join(folder, 'tutorial');
    mkdirSync(target);
    const file = path.join(target, 'nginx.conf');
    const text = `pid nginx.pid; error_log stderr; events {} http {
      client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u;
      scgi_temp_path s; access_log off;
      upstream api { server api1:3000; server api2:3000; keepalive 16; keepalive_timeout 120s; }
      server { listen 80; location / { proxy_pass http://api; proxy_set_header X-Request-Id $http_x_request_id; } } }`;
    writeFileSync(file, text);
    const { findings } = await edge('nginx', file);
    expect(findings.map(({ check }) => check).sort()).toEqual([checked, 'keep-alive']);
  });

  test('a configuration that could lead to the real service is not run', async () => {
    const target = path.join(folder, 'elsewhere');
    mkdirSync(target);
    const file = path.join(target, 'nginx.conf');
    writeFileSync(file, 'events {} http { include /etc/nginx/sites/*.conf; }');
    const { skipped } = await edge('nginx', file);
    expect(skipped).toEqual([
      { check: checked, reason: expect.stringContaining('/etc/nginx/sites/*.conf') },
    ]);
  });

  describe('no write of the doctor reaches the real service', () => {
    let arrived: string[] = [];
    const real = createServer((request, response) => {
      arrived.push(`${request.method} ${request.url}`);
      response.end('{}');
    });
    let address: string;
    beforeAll(async () => {
      await new Promise<void>((resolve) => real.listen(0, '127.0.0.1', resolve));
      address = `127.0.0.1:${(real.address() as AddressInfo).port}`;
    });
    beforeEach(() => {
      arrived = [];
    });
    afterAll(() => void real.close());

    const UP = '{UP}';
    test.each([
      ['a variable that is set', '', `set $up ${UP}; proxy_pass http://$up;`],
      [
        'a map and a variable that is set',
        'map $uri $up { default api; }',
        `set $up ${UP};
        proxy_pass http://$up;`,
      ],
      [
        'a map of addresses',
        `map $uri $up { "~^/a{1}" api; default ${UP}; }`,
        `proxy_pass http://$up;`,
      ],
      ['split_clients', `split_clients $uri $up { * ${UP}; }`, 'proxy_pass http://$up;'],
      ['a variable of the request', '', 'proxy_pass http://$http_x_doctor_up;'],
      ['quotes', '', `proxy_pass "http://${UP}";`],
      [
        'an upstream whose servers are in a file',
        `upstream more { include servers.conf; }`,
        'proxy_pass http://more;',
      ],
      ['a file with another ending', '', 'include proxy.inc;'],
    ])('%s', async (_name, http, location) => {
      const target = mkdtempSync(path.join(folder, 'real-'));
      const file = path.join(target, 'nginx.conf');
      const text = `pid nginx.pid; error_log stderr; events {} http {
        client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u;
        scgi_temp_path s; access_log off; upstream api { server api1:3000; }
        ${http}
        server { listen 80; location / { proxy_set_header X-Request-Id $http_x_request_id;
          ${location} } } }`;
      const filled = (one: string) => one.replaceAll(UP, address);
      writeFileSync(file, filled(text));
      writeFileSync(path.join(target, 'servers.conf'), filled(`server ${UP} max_fails=0;`));
      writeFileSync(path.join(target, 'proxy.inc'), filled(`proxy_pass http://${UP};`));
      const report = await edge('nginx', file);
      expect([report.skipped.map(({ check }) => check), arrived]).toEqual([[checked], []]);
    });
  });
});

describe('planted in settings', () => {
  const found = async (...hosts: Record<string, string>[]) =>
    (await diagnose('--env', hosts.map(envFile).join(','), '--settings-only')).found;
  const changed = (change: Record<string, string>) => ({ ...SOUND, ...change });

  test.each<[string, Record<string, string>, string]>([
    ['development behind a public address', { NODE_ENV: 'development' }, 'development-settings'],
    ['no rate limits', { RATE_LIMIT: 'false' }, 'rate-limits'],
    ['tokens for a day', { ACCESS_TOKEN_TTL_SECONDS: '86400' }, 'access-token-lifetime'],
    ['a weak secret', { KEY_ENCRYPTION_SECRET: 'a'.repeat(40) }, 'settings'],
    ['a misspelt setting', { TRUST_PROXI: '1' }, 'settings'],
    ['keep-alive shorter than the balancer’s', { KEEP_ALIVE_TIMEOUT_MS: '5000' }, 'keep-alive'],
    ['no database in the URI', { MONGODB_URI: 'mongodb://api:pw@db1,db2' }, 'database-name'],
    ['a database without a user', { MONGODB_URI: 'mongodb://db1/auth' }, 'database-password'],
  ])('%s', async (_, change, check) => {
    expect(await found(changed(change))).toEqual([check]);
  });

  test.each<[string, Record<string, string>, string]>([
    ['τ', { NEAR_CACHE_TTL_MS: '200' }, 'hosts-near-cache'],
    ['the key prefix', { CACHE_KEY_PREFIX: 'other' }, 'hosts-key-prefix'],
    ['the Redis database', { REDIS_URL: 'rediss://:pw@redis:6379/3' }, 'hosts-redis'],
    ['the database', { MONGODB_URI: 'mongodb://api:pw@db1,db2,db3/other' }, 'hosts-database'],
    ['the roles', { ROLES: 'auditor=audit:read' }, 'hosts-roles'],
    ['PUBLIC_URL', { PUBLIC_URL: 'https://other.example.org' }, 'hosts-issuer'],
    [
      'the encryption secret',
      { KEY_ENCRYPTION_SECRET: 'Zr8mQx3Kt6Wp1Vn9Lc4Hy7Jb2Gf5DsAe0Tui' },
      'hosts-encryption-secret',
    ],
  ])('%s differs between hosts', async (_, change, check) => {
    expect(await found(SOUND, changed(change))).toEqual([check]);
  });

  test('PM2 kills workers before their shutdown ends', async () => {
    const file = path.join(folder, 'pm2.config.js');
    writeFileSync(
      file,
      `const file = require(${JSON.stringify(shipped('ecosystem.config.js'))});
      for (const app of file.apps) { delete app.kill_timeout; app.wait_ready = false; }
      module.exports = file;`,
    );
    const { found: checks } = await diagnose(
      '--pm2',
      file,
      '--settings-only',
      '--env',
      envFile(SOUND),
    );
    expect(checks).toEqual(['pm2-kill-timeout', 'pm2-wait-ready']);
  });
});

describe('another program does not pass for this service', () => {
  test('another program that answers 200 to everything', async () => {
    const page = createServer((_request, response) => response.end('<h1>Welcome</h1>'));
    await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(page.address() as AddressInfo).port}`;
    try {
      expect((await diagnose('--target', url)).found).toEqual(['target-ready']);
      const { found: checks } = await diagnose('--hosts', url, '--settings-only');
      expect(checks).toEqual(['host-reachable']);
    } finally {
      page.close();
    }
  });

  test.each([
    ['is no JavaScript', '# nothing', 'cannot be read: SyntaxError'],
    ['has no app of it', 'module.exports = { apps: [] };', 'has no app that runs main.js'],
  ])('a file of PM2 that %s', async (_, text, reason) => {
    const file = path.join(folder, 'other.config.js');
    writeFileSync(file, text);
    const { report } = await diagnose('--pm2', file, '--settings-only', '--env', envFile(SOUND));
    expect(report.skipped).toContainEqual({
      check: 'pm2-kill-timeout',
      reason: expect.stringContaining(reason),
    });
  });
});

test('for people: the finding, its meaning and the fix; no secret; accepted findings', async () => {
  const file = envFile({ ...SOUND, RATE_LIMIT: 'false', JWT_SECRET: 'short' });
  const { stdout, code } = await runDoctor(['--env', file, '--settings-only']);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^FAULT +settings\n +seen +host\d+\.env: JWT_SECRET must have/m);
  expect(stdout).toMatch(/^ +means +The service refuses to start/m);
  expect(stdout).toMatch(/^ +fix +docs\/configuration\.md/m);
  expect(stdout).toMatch(/^skipped +edge-repeats-writes/m);
  expect(stdout).not.toMatch(/short|pF7cJ2v|:pw@/);
  const weak = envFile({ ...SOUND, RATE_LIMIT: 'false' });
  const args = ['--env', weak, '--settings-only', '--ignore', 'rate-limits'];
  expect((await runDoctor(args)).code).toBe(0);
});

test('an invalid command is refused with 64', async () => {
  for (const args of [['--target', 'id.example.org'], ['--env', '/nowhere'], ['--fix']])
    expect([args, (await runDoctor(args)).code]).toEqual([args, 64]);
});
