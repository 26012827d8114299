import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { createCollector } from '../../../src/runtime/metrics/collector';
import { offerMetrics } from '../../../src/runtime/metrics/exchange';
import { readRetired, readTold } from '../../../src/runtime/metrics/metrics-files';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'metrics-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function worker() {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: 'requests_total',
    help: 'Requests.',
    labelNames: ['code'],
    registers,
  });
  const seconds = new Histogram({ name: 'seconds', help: 'Time.', buckets: [1], registers });
  const open = new Gauge({ name: 'open', help: 'Open.', registers });
  return { registry, requests, seconds, open };
}

async function scrape(): Promise<Record<string, number>> {
  const { text } = await createCollector(dir, 1000).collect();
  return Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
  );
}

/** The pid of a process that has exited. */
const deadPid = () => spawnSync(process.execPath, ['-e', '']).pid;

test('counters and histograms of workers that exited stay in the sum, gauges do not', async () => {
  const [one, other] = [worker(), worker()];
  const offers = [
    await offerMetrics(dir, 1, one.registry),
    await offerMetrics(dir, 2, other.registry),
  ];
  for (const { requests, seconds, open } of [one, other]) {
    requests.inc({ code: '200' }, 3);
    requests.inc({ code: '500' }, 0.1);
    seconds.observe(0.5);
    open.set(7);
  }
  const before = await scrape();
  expect(before).toMatchObject({ 'requests_total{code="200"}': 6, seconds_count: 2, open: 14 });
  await offers[0]?.close();
  const between = await scrape();
  expect(between).toEqual({ ...before, open: 7 });
  one.requests.inc({ code: '200' });
  await offers[1]?.close();
  const after = await scrape();
  expect(after).toEqual(
    Object.fromEntries(Object.entries(before).filter(([key]) => key !== 'open')),
  );
  expect(readRetired(dir)).toHaveLength(1);
  expect(readRetired(dir)[0]?.names).toHaveLength(2);
});

test('a worker that was killed counts with its last answer, once, before and after a merge', async () => {
  const killed = `9-${deadPid()}`;
  const { requests, registry } = worker();
  requests.inc({ code: '200' }, 5);
  writeFileSync(
    join(dir, `told-${killed}.json`),
    JSON.stringify(await registry.getMetricsAsJSON()),
  );
  expect(await scrape()).toMatchObject({ 'requests_total{code="200"}': 5 });
  const offer = await offerMetrics(dir, 1, worker().registry);
  await offer.close();
  expect(existsSync(join(dir, `told-${killed}.json`))).toBe(false);
  expect(await scrape()).toMatchObject({ 'requests_total{code="200"}': 5 });
});

test('a claimed file counts until its merge is written, and never twice', async () => {
  const first = worker();
  first.requests.inc({ code: '200' }, 5);
  await (await offerMetrics(dir, 1, first.registry)).close();
  const [file = ''] = readdirSync(dir).filter((name) => name.startsWith('retired-'));
  const claimed = `claim-2-${process.pid}-${file}`;
  renameSync(join(dir, file), join(dir, claimed));
  expect(await scrape()).toMatchObject({ 'requests_total{code="200"}': 5 });
  // The merging worker was killed after it had written the result.
  const content = JSON.stringify({
    ...readRetired(dir)[0],
    names: [...(readRetired(dir)[0]?.names ?? []), '2-2'],
  });
  writeFileSync(join(dir, `retired-2-${process.pid}.json`), content);
  expect(readdirSync(dir)).toHaveLength(2);
  expect(await scrape()).toMatchObject({ 'requests_total{code="200"}': 5 });
  expect(readTold(dir).size).toBe(0);
});

test('a worker ends though a reader of its metrics is frozen', async () => {
  const offer = await offerMetrics(dir, 1, worker().registry);
  const reader = connect(join(dir, `1-${process.pid}.sock`)).on('error', () => {});
  await once(reader, 'connect');
  await once(reader, 'readable');
  const closed = await Promise.race([offer.close().then(() => 'closed'), delay(2000, 'waits')]);
  reader.destroy();
  expect(closed).toBe('closed');
});
