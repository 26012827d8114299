import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { askControl } from '../../src/runtime/primary/control';
import { startChaos, withStaging } from '../support/chaos';
import { startTestMongo, type TestMongo } from '../support/mongo';
import { freePort, type ServiceProcess, until } from '../support/service';

const PRODUCTION = {
  NODE_ENV: 'production',
  BCRYPT_COST: '10',
  PUBLIC_URL: 'https://auth.example.org',
  TRUST_PROXY: '1',
};

let mongo: TestMongo;
let other: TestMongo;
beforeAll(async () => {
  [mongo, other] = await Promise.all([startTestMongo(), startTestMongo()]);
}, 120_000);
afterAll(() => Promise.all([mongo?.close(), other?.close()]));

const chaos = (target: ServiceProcess, ...more: string[]) =>
  startChaos('--target', target.url, '--i-own-this-staging', '--quick', '--rate', '5', ...more)
    .ended;

async function tokenOf({ runtimeDir }: ServiceProcess): Promise<string> {
  const answer = await askControl(runtimeDir, { command: 'token' });
  if (!answer.ok || answer.token === undefined) throw new Error('no token');
  return answer.token;
}

/** A staging, and another service on this host. */
async function withBoth(
  env: Readonly<Record<string, string>>,
  use: (services: { staging: ServiceProcess; foreign: ServiceProcess }) => Promise<void>,
): Promise<void> {
  await withStaging({ MONGODB_URI: mongo.uri }, (staging) =>
    withStaging({ MONGODB_URI: other.uri, ...env }, async (foreign) => {
      const before = foreign.workerPids();
      await use({ staging, foreign });
      expect(foreign.workerPids()).toEqual(before);
      expect(foreign.logs('worker ready')).toHaveLength(before.length);
    }),
  );
}

/** The arguments by which each of its parts is disturbed. */
const byProcess = ({ pid }: ServiceProcess) => [
  ...['--primary-pid', String(pid), '--only', 'kill-worker'],
];
const byOpsPort = async (service: ServiceProcess, port: number) => [
  ...['--ops', `http://127.0.0.1:${port}`, '--ops-token', await tokenOf(service)],
  ...['--only', 'reload'],
];

test('production on this host is left alone, whatever the target is', async () => {
  const port = await freePort();
  const env = { ...PRODUCTION, OPS_PORT: String(port) };
  await withBoth(env, async ({ staging, foreign }) => {
    const killing = await chaos(staging, ...byProcess(foreign));
    expect(killing.text).toContain(`process ${foreign.pid} is production`);
    const reloading = await chaos(staging, ...(await byOpsPort(foreign, port)));
    expect(reloading.text).toContain(`http://127.0.0.1:${port} is of production`);
    expect([killing.code, reloading.code]).toEqual([69, 69]);
  });
}, 300_000);

test('a process or an ops port of another service than the target is left alone', async () => {
  const port = await freePort();
  const env = { OPS_PORT: String(port) };
  await withBoth(env, async ({ staging, foreign }) => {
    const killing = await chaos(staging, ...byProcess(foreign));
    const reloading = await chaos(staging, ...(await byOpsPort(foreign, port)));
    for (const { code, text } of [killing, reloading])
      expect([code, text]).toEqual([69, expect.stringContaining('it is another service')]);
    // A file says so as well as the environment does.
    writeFileSync(join(dirname(foreign.runtimeDir), '.env'), 'NODE_ENV=production\n');
    const told = await chaos(staging, ...byProcess(foreign));
    expect([told.code, told.text]).toEqual([69, expect.stringContaining('is production')]);
  });
}, 300_000);

test('the ops port of the target itself is used', async () => {
  const port = await freePort();
  const env = { MONGODB_URI: mongo.uri, OPS_PORT: String(port) };
  await withStaging(env, async (staging) => {
    const before = staging.workerPids();
    const { text } = await chaos(staging, ...(await byOpsPort(staging, port)));
    expect(text).toMatch(/^reload .* (yes|NO)$/m);
    await until('new workers', () => !staging.workerPids().some((pid) => before.includes(pid)));
  });
}, 300_000);
