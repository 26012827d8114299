import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseConfig } from '../../../src/kernel/config/config';
import { connectDatabase } from '../../../src/platform/mongo/connection';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { type Balancer, freePort, startNginx } from '../../support/balancers';
import { diagnose } from '../../support/doctor';
import { entry, type Fleet, startFleet } from '../../support/fleet';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { startTestRedis, type TestRedis } from '../../support/redis';
import { type ServiceProcess, startService } from '../../support/service';
import { describeWith } from '../../support/tools';

const LIBRARIES = '/usr/lib/x86_64-linux-gnu/faketime';
const hasFaketime = (() => {
  try {
    return readdirSync(LIBRARIES).length > 0;
  } catch {
    return false;
  }
})();

/** Two hosts behind NGINX with one MongoDB and Redis, and hosts that are not as they should be. */
describeWith(['nginx', 'redis-server'], 'a running deployment', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'doctor-live-'));
  const closing: (() => Promise<void>)[] = [];
  let redis: TestRedis;
  let fleet: Fleet;
  let edge: Balancer;
  let opsPort: number;
  let envFile: string;

  const own = <T extends { close(): Promise<void> }>(resource: T): T => {
    closing.unshift(() => resource.close());
    return resource;
  };
  const address = (url: string) => url.replace('http://', '');
  const edgeTo = async (host: string, edit?: (text: string, file: string) => string) =>
    own(await startNginx({ hosts: [address(host)], ...(edit === undefined ? {} : { edit }) }));
  const another = async (change: Record<string, string>): Promise<ServiceProcess> =>
    own(
      await startService({
        entry,
        env: { ...fleet.environment, OPS_PORT: '0', ...change },
        timeoutMs: 60_000,
      }),
    );
  /** The settings of the first host, with changes, as a file. */
  const settingsWith = (change: Record<string, string>) => {
    const file = path.join(folder, `${Object.keys(change).join('-')}.env`);
    const all = { ...fleet.environment, ...change };
    const lines = Object.entries(all).map(([name, value]) => `${name}='${value}'\n`);
    writeFileSync(file, lines.join(''));
    return file;
  };

  beforeAll(async () => {
    redis = own(await startTestRedis(['--maxmemory', '64mb', '--maxmemory-policy', 'noeviction']));
    const port = await freePort();
    opsPort = await freePort();
    fleet = own(
      await startFleet(1, {
        PUBLIC_URL: `http://127.0.0.1:${port}`,
        REDIS_URL: redis.url,
        TRUST_PROXY: '1',
        RATE_LIMIT: 'true',
        BCRYPT_COST: '10',
        OPS_PORT: String(opsPort),
      }),
    );
    edge = own(await startNginx({ hosts: [address(fleet.url)], port }));
    envFile = settingsWith({});
  });

  afterAll(async () => {
    for (const close of closing) await close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('as it should be: no finding, and every check was made', async () => {
    const { report } = await diagnose(
      ...['--target', edge.url, '--hosts', fleet.url, '--env', envFile],
    );
    expect(report.findings).toEqual([]);
    expect(report.skipped.map(({ check }) => check)).toEqual(['edge-repeats-writes']);
    expect(report.passed).toEqual(
      expect.arrayContaining([
        ...['target-ready', 'public-url', 'trust-proxy', 'metrics-private', 'keep-alive'],
        ...['database-indexes', 'database-migrations', 'clock-here', 'clocks', 'hosts-cache'],
        ...['redis-eviction', 'redis-memory', 'redis-full', 'rate-limits'],
      ]),
    );
  });

  test('clients use another address than PUBLIC_URL', async () => {
    const other = await edgeTo(fleet.url);
    expect((await diagnose('--target', other.url)).found).toEqual(['public-url']);
  });

  test('the edge publishes metrics', async () => {
    const open = await edgeTo(fleet.url, (text) =>
      text.replace(/(\^\/metrics.*\{\s+)return 404;/, `$1proxy_pass http://127.0.0.1:${opsPort};`),
    );
    expect((await diagnose('--target', open.url)).found).toEqual(['public-url', 'metrics-private']);
  });

  test('an edge that closes connections loses the checks that need them, and no others', async () => {
    const CLOSED = 'location ~ ^/metrics { return 444; }';
    const closing = (more: string) =>
      edgeTo(fleet.url, (text, file) =>
        file === 'snippets/server.conf'
          ? text.replace(/location [^{]*\^\/metrics[^}]*\}/, `${CLOSED}\n${more}`)
          : text,
      );
    const refusing = await diagnose('--target', (await closing('')).url);
    expect(refusing.report.passed).toContain('metrics-private');
    expect(refusing.report.skipped.map(({ check }) => check)).not.toContain('metrics-private');
    // As a firewall does that knows forged addresses.
    const walled = await closing('if ($http_forwarded) { return 444; }');
    const { report } = await diagnose('--target', walled.url);
    expect(report.passed).toEqual(expect.arrayContaining(['target-ready', 'metrics-private']));
    expect(report.skipped).toContainEqual({
      check: 'trust-proxy',
      reason: expect.stringContaining('no answer'),
    });
    // The second address of this machine does not work, as on macOS or where localhost is ::1.
    const alone = await closing('if ($remote_addr = 127.0.0.2) { return 444; }');
    expect((await diagnose('--target', alone.url)).report.skipped).toContainEqual({
      check: 'trust-proxy',
      reason: expect.stringContaining('no answer'),
    });
    const hidden = await closing('location /.well-known/ { return 444; }');
    expect((await diagnose('--target', hidden.url)).report.skipped).toEqual(
      ['settings', 'edge-repeats-writes', 'public-url', 'rate-limits', 'trust-proxy'].map(
        (check) => ({ check, reason: expect.any(String) }),
      ),
    );
  });

  test('TRUST_PROXY=1 without a proxy: forged addresses are believed', async () => {
    const { found } = await diagnose('--target', fleet.url);
    expect(found).toEqual(['public-url', 'trust-proxy']);
  });

  test('a Redis that evicts, one without limit, one that is full, and one that is away', async () => {
    const evicting = own(
      await startTestRedis(['--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru']),
    );
    const unlimited = own(await startTestRedis());
    const full = own(await startTestRedis(['--maxmemory', '600kb']));
    const found = async (url: string) =>
      (await diagnose('--env', settingsWith({ REDIS_URL: url }))).found;
    expect(await found(evicting.url)).toEqual(['redis-eviction']);
    expect(await found(unlimited.url)).toEqual(['redis-memory']);
    expect(await found(full.url)).toEqual(['redis-full']);
    expect(await found('redis://127.0.0.1:1')).toEqual(['redis-reachable']);
  });

  test('a host with another τ, prefix, issuer, keep-alive, and without trust in the edge', async () => {
    const bad = await another({
      NEAR_CACHE_TTL_MS: '200',
      CACHE_KEY_PREFIX: 'other',
      KEEP_ALIVE_TIMEOUT_MS: '5000',
      PUBLIC_URL: 'http://127.0.0.1:1',
      TRUST_PROXY: '0',
    });
    const hosts = ['--hosts', `${fleet.url},${bad.url}`];
    const { found, report } = await diagnose('--env', envFile, ...hosts);
    expect([...found].sort()).toEqual([
      'hosts-cache',
      'hosts-issuer',
      'hosts-near-cache',
      'keep-alive',
    ]);
    expect(report.findings.find(({ check }) => check === 'hosts-near-cache')?.seen).toMatch(
      /50 and 200$/,
    );
    const behind = await edgeTo(bad.url);
    expect((await diagnose('--target', behind.url)).found).toEqual(['public-url', 'trust-proxy']);
    await bad.close();
    // What it has registered is no running process.
    expect((await diagnose('--env', envFile)).found).toEqual([]);
  });

  test('a host on another database, and one without rate limits', async () => {
    const mongo: TestMongo = own(await startTestMongo());
    const host = await another({ MONGODB_URI: mongo.uri, RATE_LIMIT: 'false', TRUST_PROXY: '0' });
    expect((await diagnose('--hosts', `${fleet.url},${host.url}`)).found).toEqual([
      'hosts-database',
    ]);
    expect((await diagnose('--target', host.url)).found).toEqual(['public-url', 'rate-limits']);
  });

  (hasFaketime ? test : test.skip)(
    'a host whose clock is ahead',
    async () => {
      const host = await another({
        LD_PRELOAD: path.join(LIBRARIES, 'libfaketimeMT.so.1'),
        FAKETIME: '+90s',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        DONT_FAKE_MONOTONIC: '1',
      });
      const { report, found } = await diagnose('--hosts', `${fleet.url},${host.url}`);
      expect(found).toEqual(['clocks']);
      expect(report.findings[0]?.seen).toMatch(/is (89|90)\.\d s ahead of the database/);
    },
    60_000,
  );

  test('a missing index, and a database that is away', async () => {
    const config = parseConfig(fleet.environment);
    const log = createLogger({ level: 'silent' });
    const database = await connectDatabase(fleet.mongoUri, config.database, log);
    const users = database.connection.collection('users');
    const names = (await users.listIndexes().toArray()).map(({ name }) => String(name));
    const name = names.find((one) => one !== '_id_') ?? '';
    await users.dropIndex(name);
    await database.close();
    const { report } = await diagnose('--env', envFile);
    expect(report.findings).toMatchObject([
      { check: 'database-indexes', seen: `users.${name} is missing` },
    ]);
    const away = settingsWith({ MONGODB_URI: 'mongodb://127.0.0.1:1/auth' });
    expect((await diagnose('--env', away)).found).toEqual(['database-reachable']);
  });
});
