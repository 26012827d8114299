import { type Proxy as CutProxy, startProxy } from '../../support/cache-proxy';
import { entry } from '../../support/fleet';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { freePort, type ServiceProcess, startService } from '../../support/service';

let mongo: TestMongo;
let proxy: CutProxy;
let service: ServiceProcess;
let opsPort: number;

beforeAll(async () => {
  mongo = await startTestMongo();
  const [, host = '', name = ''] = /^mongodb:\/\/([^/,]+)[^/]*(\/[^?]*)?/.exec(mongo.uri) ?? [];
  const target = decodeURIComponent(host);
  proxy = await startProxy(target.endsWith('.sock') ? target : Number(target.split(':')[1]));
  opsPort = await freePort();
  service = await startService({
    entry,
    env: {
      NODE_ENV: 'test',
      MONGODB_URI: `mongodb://127.0.0.1:${proxy.port}${name}?directConnection=true`,
      OPS_PORT: String(opsPort),
      WORKERS: '1',
      KEY_ENCRYPTION_SECRET: 'Wq4Lx8Rn2Tc6'.repeat(4),
    },
    timeoutMs: 60_000,
  });
});
afterAll(async () => {
  proxy?.drop(false);
  await service?.close();
  await proxy?.close();
  await mongo?.close();
});

test('while the database does not answer, every gauge of the workers is there', async () => {
  const scrape = async () => {
    const answer = await fetch(`http://127.0.0.1:${opsPort}/metrics`);
    const text = await answer.text();
    const found = [...text.matchAll(/^# TYPE ([a-z0-9_]+) gauge$/gm)].map(([, name = '']) => name);
    // The sum is named also where nobody told a value. What Node is doing now comes and goes.
    const names = found.filter(
      (name) => !name.startsWith('nodejs_active') && new RegExp(`^${name}[ {]`, 'm').test(text),
    );
    return { silent: answer.headers.get('x-silent-workers'), names };
  };
  const whole = await scrape();
  expect(whole).toMatchObject({ silent: '0' });
  expect(whole.names).toEqual(expect.arrayContaining(['auth_mails_waiting', 'cache_breaker_open']));
  proxy.drop(true);
  for (let i = 0; i < 3; i += 1)
    expect(await scrape()).toEqual({ silent: '0', names: expect.arrayContaining(whole.names) });
});
