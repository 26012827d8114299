import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startOps } from '../../../src/runtime/metrics/ops-server';
import { eventually } from '../../support/http';

/** Pages that may be open at a time. */
const VIEWERS_MAX = 8;
let dir: string;
let ops: Awaited<ReturnType<typeof startOps>>;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ops-'));
  const recent = { lines: () => [], listen: () => () => {} };
  const page = { environment: 'test', recent };
  ops = await startOps({ host: '127.0.0.1', port: 0, names: [], runtimeDir: dir, page });
});
afterEach(async () => {
  await ops.close();
  rmSync(dir, { recursive: true, force: true });
});

/** The first event of each of so many pages that are open at the same time. */
async function firstEvents(pages: number): Promise<(string | undefined)[]> {
  const stop = new AbortController();
  const first = async () => {
    const { body } = await fetch(`http://127.0.0.1:${ops.address.port}/ops/events`, stop);
    let text = '';
    for await (const part of (body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      text += part;
      const [, event] = /event: (\w+)/.exec(text) ?? [];
      if (event !== undefined) return event;
    }
    return undefined;
  };
  try {
    return await Promise.all(Array.from({ length: pages }, first));
  } finally {
    stop.abort();
  }
}

test('an error of one request is answered 500, and the process goes on', async () => {
  const recent = { lines: () => [], listen: () => () => {} };
  const broken = () => {
    throw new Error('no file descriptor is left');
  };
  const page = { environment: 'test', recent, actions: { allows: broken, act: broken } };
  const failing = await startOps({ host: '127.0.0.1', port: 0, names: [], runtimeDir: dir, page });
  try {
    const url = `http://127.0.0.1:${failing.address.port}`;
    expect((await fetch(`${url}/ops/act`, { method: 'POST' })).status).toBe(500);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
  } finally {
    await failing.close();
  }
});

test('HEAD of the events is answered, and takes no place', async () => {
  const socket = connect(ops.address.port, '127.0.0.1');
  socket.write('HEAD /ops/events HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(VIEWERS_MAX));
  socket.write('GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  socket.setTimeout(3000, () => socket.destroy());
  const answer = (
    await socket
      .setEncoding('latin1')
      .toArray()
      .catch(() => [])
  ).join('');
  expect(answer.match(/^HTTP\/1\.1 200/gm)).toHaveLength(VIEWERS_MAX);
  expect(answer).toContain('HTTP/1.1 404');
  expect(await firstEvents(1)).toEqual(['start']);
});

test('pipelined pages make room when their client goes', async () => {
  const socket = connect(ops.address.port, '127.0.0.1').on('error', () => {});
  socket.write('GET /ops/events HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(VIEWERS_MAX));
  await once(socket, 'data');
  await eventually('all places are taken', async () => (await firstEvents(1))[0] === 'full');
  socket.resetAndDestroy();
  const areAllFree = async () => !(await firstEvents(VIEWERS_MAX)).includes('full');
  await eventually('all places', areAllFree, 3000);
});
