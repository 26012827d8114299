import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { startDeadline } from '../../packages/client/src/deadline';
import { createRetryBudget } from '../../packages/client/src/retry';
import { createSend } from '../../packages/client/src/transport';
import { createFetchJson } from '../../packages/verifier/src/http';
import type { Settings } from '../../packages/verifier/src/options';
import { startTimeLimit, withTimeLimit } from '../../src/kernel/time-limit';
import { createBoundedFetch } from '../../src/modules/auth/federation/bounded-fetch';
import { connectRemoteKeyRing } from '../../src/modules/auth/keys/remote-keyring';
import { createLogger } from '../../src/platform/telemetry/logger';
import { whileCollecting } from '../support/collecting';

let server: Server;
let url: string;

/** Never answers, or never ends its answer. */
beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/body') response.writeHead(200).write('{');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe('a request ends in time, however often garbage is collected', () => {
  test.each(['/head', '/body'])('of the verifier: %s', async (path) => {
    const settings = { fetch, allowHttp: true, requestTimeoutMs: 500 } as Settings;
    const { signal } = new AbortController();
    const read = createFetchJson(settings)(url + path, { signal }).catch(({ name }) => name);
    expect(await whileCollecting(20_000, read)).toBe('TimeoutError');
  });

  test.each(['/head', '/body'])(
    'of a remote key set: %s',
    async (path) => {
      const log = createLogger({ level: 'silent' });
      const ring = await whileCollecting(
        25_000,
        connectRemoteKeyRing({ url: url + path, pollMs: 60_000, log }),
      );
      expect(ring).toBeDefined();
      await ring?.close();
    },
    40_000,
  );

  test.each(['/head', '/body'])('of a provider: %s', async (path) => {
    const options = { method: 'GET', headers: {}, body: null, redirect: 'manual' } as const;
    const signal = AbortSignal.timeout(500);
    const read = createBoundedFetch()(url + path, { ...options, signal }).catch(({ name }) => name);
    expect(await whileCollecting(20_000, read)).toBe('TimeoutError');
  });

  test.each(['/head', '/body'])('of the client: %s', async (path) => {
    const send = createSend({
      ...{ fetch, attemptTimeoutMs: 500, credentials: 'omit', seen: () => undefined },
      budget: createRetryBudget(),
    });
    const request = { method: 'GET', url: url + path, headers: {}, isRepeatable: false };
    const deadline = startDeadline(60_000);
    const sent = send(request, deadline).catch(({ code }) => code);
    expect(await whileCollecting(20_000, sent)).toBe('network');
    deadline.end();
  });
});

test('a limit ends with the outer signal, before its begin too', async () => {
  const outer = new AbortController();
  const waiting = withTimeLimit(
    60_000,
    outer.signal,
    (signal) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
  );
  outer.abort();
  await waiting;
  expect(startTimeLimit(60_000, outer.signal).signal.aborted).toBe(true);
});

test('a limit that was ended never aborts', () => {
  const outer = new AbortController();
  const limit = startTimeLimit(60_000, outer.signal);
  limit.end();
  outer.abort();
  expect(limit.signal.aborted).toBe(false);
});

test('many limits on one signal, and many users of one limit, are no warning', () => {
  const script = `
    const { startTimeLimit } = require(${JSON.stringify(join(__dirname, '../../src/kernel/time-limit.js'))});
    const outer = new AbortController();
    const limits = Array.from({ length: 20 }, () => startTimeLimit(60_000, outer.signal));
    for (let i = 0; i < 20; i += 1) limits[0].signal.addEventListener('abort', () => {});
    const { createFetchJson } = require(${JSON.stringify(join(__dirname, '../../packages/verifier/src/http.js'))});
    const fetch = () => new Promise(() => {});
    const read = createFetchJson({ fetch, allowHttp: true, requestTimeoutMs: 60_000 });
    for (let i = 0; i < 20; i += 1) read('http://127.0.0.1', { signal: outer.signal });`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
