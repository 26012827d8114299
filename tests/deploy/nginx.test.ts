import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { answers, type Backend, startBackend } from '../support/backend';
import {
  type Balancer,
  type BalancerOptions,
  freePort,
  renderNginx,
  root,
  startNginx,
} from '../support/balancers';
import { run } from '../support/processes';
import { raw } from '../support/raw-http';
import { describeWith, findTool } from '../support/tools';
import { until } from '../support/until';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'edge-'));
  chmodSync(path, 0o755);
  folders.push(path);
  return path;
}
const folders: string[] = [];
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

function certificate(): string {
  const path = folder();
  const [key, cert] = [join(path, 'privkey.pem'), join(path, 'fullchain.pem')];
  const subject = ['-subj', '/CN=localhost', '-days', '2', '-nodes'];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-keyout',
      key,
      '-out',
      cert,
      ...subject,
    ],
    {
      stdio: 'ignore',
    },
  );
  return path;
}

const check = (prefix: string, file: string) =>
  spawnSync(findTool('nginx') ?? '', ['-t', '-q', '-p', prefix, '-c', file], { encoding: 'utf8' });

describeWith(['nginx'], 'nginx -t', () => {
  test('accepts the plain form without a word', () => {
    const { status, stderr } = check(folder(), join(root, 'nginx', 'nginx.conf'));
    expect([stderr, status]).toEqual(['', 0]);
  });

  test('accepts the files that the image renders from the templates', () => {
    const path = folder();
    renderNginx(path, {
      hosts: ['127.0.0.1:3001', '127.0.0.1:3002', '127.0.0.1:3003'],
      port: 8080,
      env: { TRUSTED_PROXIES: '10.0.0.0/8,fd00::/8' },
    });
    const { status, stderr } = check(path, join(path, 'nginx.conf'));
    expect([stderr, status]).toEqual(['', 0]);
  });

  test('refuses a broken one, so that the two above say something', () => {
    const path = folder();
    renderNginx(path, {
      hosts: ['127.0.0.1:3001'],
      port: 8080,
      edit: (text) => text.replace('keepalive 64;', 'keepalive many;'),
    });
    expect(check(path, join(path, 'nginx.conf')).status).not.toBe(0);
  });

  test('the settings name the variable that is missing', () => {
    const script = join(root, 'nginx', 'docker-entrypoint.d', '16-edge-settings.envsh');
    const { status, stderr } = spawnSync('sh', ['-c', '. "$0"', script], {
      env: { PATH: process.env['PATH'] },
      encoding: 'utf8',
    });
    expect(status).not.toBe(0);
    expect(stderr).toContain('API_HOSTS');
  });
});

describeWith(['haproxy'], 'haproxy -c', () => {
  test.each([{}, { API1: '10.0.0.1:3000', API2: '10.0.0.2:3000', EDGE_BIND: '*:80' }])(
    'accepts the file with %j',
    (env) => {
      const file = join(root, 'haproxy', 'haproxy.cfg');
      const { status, stderr } = spawnSync(findTool('haproxy') ?? '', ['-c', '-q', '-f', file], {
        env: { PATH: process.env['PATH'], ...env },
        encoding: 'utf8',
      });
      expect([stderr, status]).toEqual(['', 0]);
    },
  );
});

describeWith(['nginx', 'openssl'], 'nginx alone', () => {
  let hosts: [Backend, Backend];
  let opened: Balancer | undefined;
  const begin = async (options: Partial<BalancerOptions> = {}) => {
    opened = await startNginx({ hosts: hosts.map((host) => host.host), ...options });
    return opened.url;
  };
  const seen = () => hosts.flatMap((host) => host.seen);

  beforeEach(async () => {
    hosts = [await startBackend(), await startBackend()];
  });
  afterEach(async () => {
    await opened?.close();
    opened = undefined;
    await Promise.all(hosts.map((host) => host.down()));
  });

  test('the plain form runs as it is, but for the ports, and no privileged folder is written', async () => {
    const path = folder();
    const port = await freePort();
    cpSync(join(root, 'nginx'), join(path, 'nginx'), { recursive: true });
    const file = join(path, 'nginx', 'conf.d', 'default.conf');
    const [first, second] = hosts.map((host) => host.host);
    const text = readFileSync(file, 'utf8')
      .replaceAll('127.0.0.1:3001', first ?? '')
      .replaceAll('127.0.0.1:3002', second ?? '');
    writeFileSync(file, text.replace('listen 8080', `listen 127.0.0.1:${port}`));
    const nginx = run([
      findTool('nginx') ?? '',
      '-p',
      path,
      '-c',
      join(path, 'nginx', 'nginx.conf'),
      '-g',
      'daemon off;',
    ]);
    try {
      await until(
        'it answers',
        async () => (await raw(`http://127.0.0.1:${port}/`)).status === 200,
      );
      for (let n = 0; n < 2; n += 1)
        expect(
          (await raw(`http://127.0.0.1:${port}/`, { method: 'POST', body: '{}' })).status,
        ).toBe(200);
      expect(hosts.every((host) => host.seen.length > 0)).toBe(true);
      expect(readdirSync(path)).toEqual(
        expect.arrayContaining(['nginx.pid', 'access.log', 'asset_cache']),
      );
    } finally {
      await nginx.stop();
    }
  });

  test('one host alone gets a second chance at a read, never at a write', async () => {
    let asked = 0;
    hosts[0].answer = (one, response) => {
      asked += 1;
      return asked === 1 ? answers.cut(one, response) : answers.json({})(one, response);
    };
    const url = await begin({ hosts: [hosts[0].host] });
    expect((await raw(url)).status).toBe(200);
    asked = 0;
    expect((await raw(url, { method: 'POST', body: '{}' })).status).toBe(502);
    expect(hosts[0].seen.map((one) => one.method)).toEqual(['GET', 'GET', 'POST']);
  });

  test('large JSON is compressed here and not by the workers', async () => {
    const list = { data: Array.from({ length: 100 }, (_, n) => ({ id: n, name: `user ${n}` })) };
    for (const host of hosts) host.answer = answers.json(list);
    const url = await begin();
    const large = await raw(`${url}/api/users`, { headers: { 'accept-encoding': 'gzip' } });
    expect(large.headers['content-encoding']).toBe('gzip');
    expect(String(large.headers['vary'])).toMatch(/accept-encoding/i);
    expect(JSON.parse(gunzipSync(large.bytes).toString('utf8'))).toEqual(list);
    expect((await raw(`${url}/api/users`)).headers['content-encoding']).toBeUndefined();
    expect(seen().map((one) => one.headers['accept-encoding'])).toEqual([undefined, undefined]);
  });

  test('behind a trusted proxy the address it saw counts, and nothing that a client put before it', async () => {
    const url = await begin({ env: { TRUSTED_PROXIES: '127.0.0.0/8' } });
    await raw(url, {
      headers: {
        'x-forwarded-for': '6.6.6.6, 203.0.113.9, 127.0.0.2',
        'x-forwarded-proto': 'https',
      },
    });
    expect(seen()[0]?.headers).toMatchObject({
      'x-forwarded-for': '203.0.113.9',
      'x-forwarded-proto': 'https',
    });
  });

  test('a refusal of the edge itself is problem+json with the request id', async () => {
    const url = await begin({
      env: { EDGE_RATE_PER_SECOND: '1', EDGE_RATE_BURST: '1', EDGE_BODY_LIMIT: '1k' },
    });
    const large = await raw(`${url}/api/users`, {
      method: 'POST',
      body: 'x'.repeat(2000),
      headers: { 'x-request-id': 'client-id-1' },
    });
    expect([large.status, large.headers['content-type'], large.headers['x-request-id']]).toEqual([
      413,
      'application/problem+json',
      'client-id-1',
    ]);
    expect(JSON.parse(large.body)).toMatchObject({
      type: 'urn:problem:body_too_large',
      status: 413,
      code: 'body_too_large',
      instance: expect.stringMatching(/^urn:request:[0-9a-f]{32}$/),
    });
    for (const method of ['GET', 'POST']) {
      const hurried = await Promise.all(Array.from({ length: 6 }, () => raw(url, { method })));
      const limited = hurried.find((one) => one.status !== 200);
      expect([limited?.status, limited?.headers['retry-after']]).toEqual([429, '1']);
      expect(JSON.parse(limited?.body ?? '')).toMatchObject({ status: 429, code: 'rate_limited' });
    }
    const long = 'x'.repeat(20_000);
    const unread = [
      await raw(url, { path: `/${long}` }),
      await raw(url, { headers: { 'x-long': long } }),
    ];
    expect(unread.map((one) => [one.status, JSON.parse(one.body).code])).toEqual([
      [414, 'uri_too_long'],
      [431, 'headers_too_large'],
    ]);
  });

  test("errors of the service pass as they are: NGINX's own pages do not take their place", async () => {
    const url = await begin();
    for (const status of [400, 404, 409, 422, 429, 500]) {
      for (const host of hosts) host.answer = answers.status(status, { ratelimit: '"a";r=0;t=9' });
      for (const method of ['GET', 'POST']) {
        const got = await raw(url, { method });
        expect([got.status, got.body, got.headers['ratelimit']]).toEqual([
          status,
          `{"status":${status}}`,
          '"a";r=0;t=9',
        ]);
      }
    }
  });

  test("the docs page's hashed files come from NGINX's cache, also when every host is gone", async () => {
    for (const host of hosts) {
      host.answer = (_, response) =>
        response
          .writeHead(200, {
            'content-type': 'text/css',
            'cache-control': 'public, max-age=31536000, immutable',
            'set-cookie': 'a=b',
          })
          .end('body{}');
    }
    const url = await begin();
    const path = `${url}/docs/assets/docs.3f9a1c2b4d5e.css`;
    const first = await raw(path);
    expect([first.status, first.headers['x-cache'], first.headers['set-cookie']]).toEqual([
      200,
      'MISS',
      undefined,
    ]);
    expect(first.headers['cache-control']).toContain('immutable');
    await Promise.all(hosts.map((host) => host.down()));
    const again = await raw(`${path}?other=query`);
    expect([again.status, again.headers['x-cache'], again.body]).toEqual([200, 'HIT', 'body{}']);
    expect(seen()).toHaveLength(1);
    expect((await raw(`${url}/docs`)).status).toBe(503);
  });

  test('TLS: 1.2 and 1.3 only, HSTS, the scheme told to the service, and http moves to https with 308', async () => {
    const tls = { folder: certificate(), port: await freePort(), redirectPort: await freePort() };
    await begin({ tls });
    const at = `https://127.0.0.1:${tls.port}/api/users`;
    const asked = async (options: Record<string, unknown>) =>
      raw(at, { tls: { rejectUnauthorized: false, ...options } });
    const modern = await asked({});
    expect([modern.status, modern.protocol]).toEqual([200, 'TLSv1.3']);
    expect(modern.headers['strict-transport-security']).toBe('max-age=31536000; includeSubDomains');
    expect(seen()[0]?.headers['x-forwarded-proto']).toBe('https');
    expect((await asked({ maxVersion: 'TLSv1.2' })).protocol).toBe('TLSv1.2');
    await expect(
      asked({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }),
    ).rejects.toThrow();
    await expect(
      asked({ maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA:@SECLEVEL=0' }),
    ).rejects.toThrow();
    const moved = await raw(`http://127.0.0.1:${tls.redirectPort}/api/users?x=1`, {
      method: 'POST',
      body: '{}',
      headers: { host: 'api.example' },
    });
    expect([moved.status, moved.headers['location']]).toEqual([
      308,
      'https://api.example/api/users?x=1',
    ]);
    expect((await raw(opened?.url ?? '')).headers['strict-transport-security']).toBeUndefined();
  });
});
