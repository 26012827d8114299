import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mixOf, runLoad, startLoad } from '../../faults/load';
import { replaceSection, verdict } from '../../faults/report';
import { firstGoodAfter, healedAfter, summarise } from '../../faults/summary';

const servers: Server[] = [];
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
/** An address where nothing listens: it was bound a moment ago and given back. */
async function closedAddress(): Promise<string> {
  const url = await serve(() => undefined);
  servers.pop()?.close();
  return url;
}

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

describe('the open-loop load', () => {
  test('records every request, planned at the rate whatever the answers do', async () => {
    let seen = 0;
    const url = await serve((request, response) => {
      seen += 1;
      if (seen === 3) request.socket.destroy();
      else if (seen === 5) response.writeHead(503).end();
      else response.end('{}');
    });
    const records = await runLoad(
      { targets: [url], ratePerSecond: 200, request: () => ({ method: 'GET', path: '/' }) },
      300,
    );
    const summary = summarise(records);
    expect(summary.planned).toBe(seen);
    expect(summary.planned).toBeGreaterThan(40);
    expect(summary).toMatchObject({ failed: 2, unanswered: 1, good: summary.planned - 2 });
    expect(summary.outcomes).toMatchObject({ ECONNRESET: 1, 503: 1 });
    expect(records.every((record, n) => record.n === n && record.plannedMs === n * 5)).toBe(true);
  });

  test('counts the wait behind a stall from the planned moment', async () => {
    let release: () => void = () => undefined;
    const stalled = new Promise<void>((resolve) => {
      release = resolve;
    });
    const url = await serve((_, response) => void stalled.then(() => response.end()));
    const load = startLoad({
      targets: [url],
      ratePerSecond: 100,
      connections: 1,
      request: () => ({ method: 'GET', path: '/' }),
    });
    setTimeout(release, 300);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const summary = summarise(await load.stop());
    expect(summary.failed).toBe(0);
    expect(summary.p50Ms).toBeGreaterThan(150);
  });

  test('a request without an answer ends as TIMEOUT, a cut body as an error', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/cut')
        response.writeHead(200, { 'content-length': '100' }).write('x', () => response.destroy());
    });
    const mix = mixOf([
      { method: 'GET', path: '/cut' },
      { method: 'GET', path: '/never' },
    ]);
    const records = await runLoad(
      { targets: [url], ratePerSecond: 20, timeoutMs: 100, request: mix },
      80,
    );
    expect(records.map((record) => record.error)).toEqual(['ECONNRESET', 'TIMEOUT']);
  });

  test('failover repeats safe requests, and never a write that may have arrived', async () => {
    const seen: string[] = [];
    const broken = await serve((request) => request.socket.destroy());
    const works = await serve((request, response) => {
      seen.push(request.method ?? '');
      response.end();
    });
    const once = async (targets: string[], method: string) =>
      (
        await runLoad(
          {
            targets,
            ratePerSecond: 1,
            failover: true,
            request: () => ({ method, path: '/', tag: 'one' }),
          },
          20,
        )
      )[0];
    expect(await once([broken, works], 'GET')).toMatchObject({
      status: 200,
      attempts: 2,
      target: works,
    });
    expect(await once([broken, works], 'POST')).toMatchObject({ error: 'ECONNRESET', attempts: 1 });
    expect(await once([await closedAddress(), works], 'POST')).toMatchObject({
      status: 200,
      attempts: 2,
    });
    expect(seen).toEqual(['GET', 'POST']);
  });
});

describe('the figures', () => {
  const record = (plannedMs: number, status?: number) => ({
    n: 0,
    tag: 'GET',
    method: 'GET',
    path: '/',
    plannedMs,
    attempts: 1,
    ...(status === undefined ? { error: 'ECONNRESET' } : { status, answeredMs: plannedMs + 10 }),
  });
  const records = [
    record(0, 200),
    record(100),
    record(200, 503),
    record(300, 404),
    record(400, 200),
  ];

  test('healing is the last failure, first good is an answer', () => {
    expect(healedAfter(records, 50)).toBe(150);
    expect(firstGoodAfter(records, 50)).toBe(260);
    expect(firstGoodAfter(records, 500)).toBeUndefined();
    expect(summarise(records).good).toBe(3);
  });

  test('a goal that is met with its safeguard gone proves nothing', () => {
    const base = {
      name: 'x',
      title: 'x',
      goal: '0',
      planted: 'no retry',
      seconds: 1,
      outcome: { met: true, figures: {} },
    };
    expect(verdict({ ...base, plantedOutcome: { met: false, figures: {} } })).toBe('met');
    expect(verdict({ ...base, plantedOutcome: { met: true, figures: {} } })).toBe(
      'planted fault not seen',
    );
    expect(verdict({ ...base, outcome: { met: false, figures: {} } })).toBe('missed');
    expect(verdict({ ...base, skipped: 'needs root' })).toBe('skipped');
  });

  test('a suite replaces its own section alone', () => {
    const two = replaceSection(replaceSection('# Faults\n', 'a', 'old'), 'b', 'kept');
    const text = replaceSection(two, 'a', 'new');
    expect(text).toContain('new');
    expect(text).toContain('kept');
    expect(text).not.toContain('old');
  });
});
