import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { startHaproxy, startNginx } from '../support/balancers';
import { createClient, eventually, register } from '../support/http';
import { startTestMongo, type TestMongo } from '../support/mongo';
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp';
import { raw } from '../support/raw-http';
import { root, type ServiceProcess, startService } from '../support/service';
import { findTool } from '../support/tools';

/** Real clusters of two workers, the second half behind real balancers. */
let mongo: TestMongo;
const closing: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  mongo = await startTestMongo();
});
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close();
});
afterAll(() => mongo.close());

const owned = <T extends { close(): Promise<void> }>(one: T): T => {
  closing.push(one);
  return one;
};

const startCluster = async (otlp: Pick<OtlpReceiver, 'url'>, env: Record<string, string> = {}) =>
  owned(
    await startService({
      entry: join(root, 'dist', 'main.js'),
      env: {
        MONGODB_URI: mongo.uri,
        KEY_ENCRYPTION_SECRET: 'hT5-wK8.qL2_zN9+xC4/vB7=mJ1~pD6!',
        OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url,
        BCRYPT_COST: '4',
        DRAIN_IDLE_MS: '100',
        ...env,
      },
      timeoutMs: 60_000,
    }),
  );

function newTrace(flags: string) {
  const traceId = randomBytes(16).toString('hex');
  const traceparent = `00-${traceId}-${'b'.repeat(16)}-${flags}`;
  return { traceId, headers: { traceparent, tracestate: 'vendor=1' } };
}

const unchecked = { unchecked: true } as const;

/** A read over a connection of its own, which another worker may get. */
const read = async (url: string, token: string, headers: Record<string, string>) => {
  const { status } = await raw(`${url}/api/auth/profile`, {
    headers: { ...headers, authorization: `Bearer ${token}`, connection: 'close' },
  });
  return status;
};

describe.each([
  { tool: 'nginx', startEdge: startNginx },
  { tool: 'haproxy', startEdge: startHaproxy },
])('$tool', ({ tool, startEdge }) => {
  const isMissing = findTool(tool) === undefined;
  const run = isMissing ? test.skip : test;
  const reason = isMissing ? ` [skipped: ${tool} is not installed; npm run provision]` : '';

  run(
    `one trace from the client over the edge and both workers to MongoDB; a stop sends the last spans${reason}`,
    async () => {
      const otlp = owned(await startOtlpReceiver());
      const service = await startCluster(otlp, { TRUST_PROXY: '1' });
      const host = `127.0.0.1:${service.port}`;
      const edge = owned(await startEdge({ hosts: [host, host] }));
      const { access_token: token } = await register(createClient(service.url, unchecked));
      const { traceId, headers } = newTrace('01');
      const ofTrace = (name: string) =>
        otlp.spans.filter((span) => span.traceId === traceId && span.name === name);
      const pids = await eventually(
        'spans of two workers',
        async () => {
          // At the same time: the edge keeps its connections, and each is one worker's.
          await Promise.all(Array.from({ length: 6 }, () => read(edge.url, token, headers)));
          const found = new Set(
            ofTrace('GET /api/auth/profile').map(({ resource }) => resource['process.pid']),
          );
          return found.size === 2 && found;
        },
        30_000,
      );
      expect(service.workerPids()).toEqual(expect.arrayContaining([...pids]));
      await eventually('the command of MongoDB', () => ofTrace('find users').length > 0);
      for (const server of ofTrace('GET /api/auth/profile'))
        expect(server).toMatchObject({ parentId: 'b'.repeat(16), traceState: 'vendor=1' });
      const silent = newTrace('00');
      expect(await read(edge.url, token, silent.headers)).toBe(200);
      const last = newTrace('01');
      expect(await read(edge.url, token, last.headers)).toBe(200);
      // The spans that wait are sent before a worker ends.
      await service.close();
      await otlp.traceWith('GET /api/auth/profile', last.traceId);
      expect(otlp.spans.some((span) => span.traceId === silent.traceId)).toBe(false);
    },
    90_000,
  );
});

/** Requests under load, then a stop: nothing fails, whatever the receiver does. */
async function serveAndStop(service: ServiceProcess): Promise<number | null> {
  const { access_token: token } = await register(createClient(service.url, unchecked));
  // Few at a time: a busy machine must not be overloaded.
  for (let i = 0; i < 50; i += 1) {
    const answers = await Promise.all([1, 2, 3, 4].map(() => read(service.url, token, {})));
    expect(answers).toEqual([200, 200, 200, 200]);
  }
  await service.waitForLog('traces not exported');
  service.signal('SIGTERM');
  return (await service.exited).code;
}

test.each(['away', 'never'] as const)(
  'a receiver that is %s: nothing fails, one warning for each process, exit code 0',
  async (kind) => {
    const otlp =
      kind === 'away'
        ? { url: 'http://127.0.0.1:9' }
        : owned(await startOtlpReceiver({ answer: 'never' }));
    const service = await startCluster(otlp);
    expect(await serveAndStop(service)).toBe(0);
    const warned = service.logs('traces not exported').map(({ pid }) => pid);
    expect(warned).toEqual([...new Set(warned)]);
    expect(service.logs('resource not closed')).toEqual([]);
  },
  60_000,
);
