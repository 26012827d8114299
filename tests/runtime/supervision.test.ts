import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startLoad } from '../../faults/load';
import { summarise } from '../../faults/summary';
import { exitCodes } from '../../src/runtime/exit-codes';
import {
  isRunning,
  type ServiceOptions,
  type ServiceProcess,
  startService,
  until,
  victimOf,
} from '../support/service';

const entry = path.join(__dirname, 'fixtures', 'service.js');
let running: ServiceProcess[] = [];
const start = async (env: Record<string, string> = {}, options: Partial<ServiceOptions> = {}) => {
  const service = await startService({
    entry,
    env: { MONGODB_URI: 'mongodb://unused', DRAIN_IDLE_MS: '100', ...env },
    ...options,
  });
  running.push(service);
  return service;
};
const whole = (service: ServiceProcess, count: number, timeoutMs?: number) =>
  until(
    `${count} workers`,
    async () => {
      const answer = await fetch(service.url).catch(() => undefined);
      return ((await answer?.json()) as { workers: number } | undefined)?.workers === count;
    },
    timeoutMs,
  );
const open = (service: ServiceProcess, path = '/', requestsPerSecond = 300) =>
  startLoad({
    targets: [service.url],
    ratePerSecond: requestsPerSecond,
    connections: 20,
    request: () => ({ method: 'GET', path }),
  });
const answerOf = async (service: ServiceProcess, path = '/') =>
  (await (await fetch(service.url + path)).json()) as { pid: number; workers: number };

afterEach(async () => {
  await Promise.all(running.map((service) => service.close()));
  running = [];
});

test('a killed worker is replaced within 2 s', async () => {
  const service = await start();
  const victim = victimOf(service.workerPids());
  const from = performance.now();
  process.kill(victim, 'SIGKILL');
  await service.waitForLog('worker exited unexpectedly', ({ workerPid }) => workerPid === victim);
  await whole(service, 2);
  // `npm run faults` requires 2 s; here other tests run at the same time.
  expect(performance.now() - from).toBeLessThan(6000);
  expect(service.workerPids()).not.toContain(victim);
});

test('with all workers killed, connections wait and the first answer comes within 3 s', async () => {
  const service = await start();
  for (const pid of service.workerPids()) process.kill(pid, 'SIGKILL');
  const from = performance.now();
  await until(
    'an answer',
    async () => (await fetch(service.url).catch(() => undefined))?.status === 200,
  );
  expect(performance.now() - from).toBeLessThan(8000);
  await whole(service, 2);
});

test('a stopped worker is replaced, and its unacknowledged connections go to another', async () => {
  const service = await start({ WORKER_STALL_MS: '1500', WORKER_HEARTBEAT_MS: '100' });
  const victim = victimOf(service.workerPids());
  process.kill(victim, 'SIGSTOP');
  // Each request has its own connection: some reach the stopped worker before it is detected.
  const answers = await Promise.all(Array.from({ length: 20 }, () => send(service)));
  expect(answers.every((status) => status === 200)).toBe(true);
  await until('its end', () => !isRunning(victim));
  await whole(service, 2);
  // The log is read in batches: a line may arrive after the exit that it reports.
  await service.waitForLog('worker exited unexpectedly', ({ workerPid }) => workerPid === victim);
  expect(service.logs('worker unresponsive')).not.toHaveLength(0);
  expect(service.logs('worker unresponsive, killing')).toHaveLength(1);
});

test('an event loop blocked for less than the limit loses no request, and no worker is killed', async () => {
  const service = await start({ WORKER_STALL_MS: '4000', WORKER_HEARTBEAT_MS: '100' });
  const load = open(service);
  const blocked = await send(service, '/block?amount=1200');
  const summary = summarise(await load.stop());
  expect(blocked).toBe(200);
  expect(summary.failed).toBe(0);
  expect(service.logs('worker unresponsive, killing')).toHaveLength(0);
});

test('a worker above its heap limit is recycled: its successor is ready first', async () => {
  const service = await start({ WORKER_HEAP_LIMIT_MB: '80', WORKER_HEARTBEAT_MS: '100' });
  const load = open(service, '/', 100);
  const { pid } = await answerOf(service, '/hoard?amount=75');
  await service.waitForLog('worker heap limit exceeded, recycling');
  await until('the end of the outgrown worker', () => !isRunning(pid));
  await service.waitForLog('worker exited', ({ workerPid }) => workerPid === pid);
  const summary = summarise(await load.stop());
  expect(summary.outcomes).toEqual({ 200: summary.planned });
  expect(service.logs('worker exited unexpectedly')).toHaveLength(0);
  const messages = service.logs().filter(({ worker }) => worker !== undefined);
  const successor = messages.findIndex(({ msg, ready }) => msg === 'worker ready' && ready === 3);
  expect(successor).toBeGreaterThan(-1);
  expect(messages.findIndex(({ msg }) => msg === 'worker exited')).toBeGreaterThan(successor);
});

test('an uncaught error ends only its worker, after the requests in flight', async () => {
  const service = await start({ WORKERS: '1' });
  const slow = send(service, '/slow?amount=500');
  await until('the request in flight', () => service.logs().length > 0);
  const { pid } = await answerOf(service, '/throw');
  expect(await slow).toBe(200);
  await until('its end', () => !isRunning(pid));
  await whole(service, 1);
  await service.waitForLog('fatal error, worker exiting');
  expect(service.logs('fatal error, worker exiting')).toHaveLength(1);
});

test('SIGTERM: requests in flight are answered, and the service exits with 0 within 10 s', async () => {
  const service = await start();
  const slow = send(service, '/slow?amount=700');
  const idle = connect(service.port, '127.0.0.1');
  await once(idle, 'connect');
  await until('the request to arrive', async () => (await answerOf(service)).workers === 2);
  const from = performance.now();
  service.signal('SIGTERM');
  expect(await slow).toBe(200);
  expect(await service.exited).toEqual({ code: exitCodes.ok, signal: null });
  expect(performance.now() - from).toBeLessThan(10_000);
  expect(service.workerPids()).toHaveLength(0);
});

test('readiness turns false while connections are still accepted', async () => {
  const service = await start({ SHUTDOWN_DELAY_MS: '800' });
  service.signal('SIGTERM');
  await until(
    'readiness to turn false',
    async () => (await fetch(`${service.url}/readyz`)).status === 503,
  );
  expect((await fetch(service.url)).status).toBe(200);
  expect(await service.exited).toEqual({ code: exitCodes.ok, signal: null });
});

test('a request that outlasts the deadline is interrupted, and the exit code reports it', async () => {
  const service = await start({ DRAIN_TIMEOUT_MS: '300', SHUTDOWN_DEADLINE_MS: '600' });
  const slow = send(service, '/slow?amount=20000').catch((error: Error) => error.message);
  await until('the request to arrive', async () => (await answerOf(service)).workers === 2);
  service.signal('SIGTERM');
  expect(await slow).toBe('socket hang up');
  expect((await service.exited).code).toBe(exitCodes.forced);
});

test('a second signal ends everything at once', async () => {
  const service = await start();
  const slow = send(service, '/slow?amount=20000').catch(() => 'cut');
  await until('the request to arrive', async () => (await answerOf(service)).workers === 2);
  service.signal('SIGTERM');
  await service.waitForLog('received SIGTERM, shutting down');
  const from = performance.now();
  service.signal('SIGTERM');
  expect((await service.exited).code).toBe(128 + 15);
  expect(performance.now() - from).toBeLessThan(1000);
  expect(await slow).toBe('cut');
});

test('SIGHUP under load replaces every worker and loses nothing', async () => {
  const service = await start();
  const before = service.workerPids();
  const load = open(service);
  for (let round = 1; round <= 2; round++) {
    service.signal('SIGHUP');
    await until(`reload ${round}`, () => service.logs('rolling reload finished').length === round);
  }
  const summary = summarise(await load.stop());
  expect(summary.outcomes).toEqual({ 200: summary.planned });
  expect(before.some(isRunning)).toBe(false);
  await whole(service, 2);
});

test('a reload to a broken build stops at the first worker; after the repair it succeeds', async () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'broken-'));
  const fault = path.join(dir, 'fault');
  const service = await start({ FIXTURE_BREAK: fault });
  const before = service.workerPids();
  writeFileSync(fault, 'exit 1');
  const load = open(service);
  service.signal('SIGHUP');
  await service.waitForLog(
    'rolling reload stopped: new worker not ready, old workers keep serving',
  );
  expect(summarise(await load.stop()).failed).toBe(0);
  expect(service.workerPids()).toEqual(before);
  rmSync(dir, { recursive: true });
  service.signal('SIGHUP');
  await service.waitForLog('rolling reload finished');
  expect(before.some(isRunning)).toBe(false);
});

test('the service gives up with an exit code when workers never become ready', async () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'broken-'));
  const fault = path.join(dir, 'fault');
  writeFileSync(fault, 'exit 1');
  const env = { FIXTURE_BREAK: fault, CRASH_BUDGET: '3', RESTART_BACKOFF_BASE_MS: '20' };
  const service = await start(env, { failing: true });
  expect((await service.exited).code).toBe(exitCodes.software);
  // Two waves of two workers, then one attempt with one; a late crash may count as its own wave.
  expect(service.logs('worker exited unexpectedly').length).toBeLessThanOrEqual(8);
  // A start that fails with an exit code (a wrong key, for example) counts like a crash.
  writeFileSync(fault, 'throw');
  const orderly = await start(env, { failing: true });
  expect((await orderly.exited).code).toBe(exitCodes.software);
  expect(orderly.logs('worker exited unexpectedly').length).toBeLessThanOrEqual(8);
  writeFileSync(fault, `exit ${exitCodes.config}`);
  const faulty = await start(env, { failing: true });
  expect((await faulty.exited).code).toBe(exitCodes.config);
  expect(faulty.logs('worker exited unexpectedly')).toHaveLength(2);
  rmSync(dir, { recursive: true });
});

test('a worker that neither fails nor becomes ready is killed after WORKER_READY_TIMEOUT_MS', async () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'broken-'));
  const fault = path.join(dir, 'fault');
  writeFileSync(fault, 'hang');
  const service = await start(
    {
      FIXTURE_BREAK: fault,
      WORKER_READY_TIMEOUT_MS: '1000',
      DB_CONNECT_WAIT_MS: '100',
      DB_SERVER_SELECTION_TIMEOUT_MS: '100',
      CRASH_BUDGET: '1',
    },
    { failing: true },
  );
  expect((await service.exited).code).toBe(exitCodes.software);
  rmSync(dir, { recursive: true });
});

test('a service that was ready once backs off in a crash loop, never gives up, and recovers after the repair', async () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'broken-'));
  const fault = path.join(dir, 'fault');
  const service = await start({
    FIXTURE_BREAK: fault,
    CRASH_BUDGET: '2',
    RESTART_BACKOFF_BASE_MS: '20',
    RESTART_BACKOFF_MAX_MS: '200',
  });
  writeFileSync(fault, 'exit 1');
  for (const pid of service.workerPids()) process.kill(pid, 'SIGKILL');
  await until('a few deaths', () => service.logs('worker exited unexpectedly').length >= 8);
  rmSync(dir, { recursive: true });
  await whole(service, 2);
  expect(service.logs('no worker became ready, giving up')).toHaveLength(0);
});

test('SIGTERM to one worker: its successor is ready before it drains', async () => {
  const service = await start();
  const load = open(service);
  const victim = victimOf(service.workerPids());
  process.kill(victim, 'SIGTERM');
  const ended = await service.waitForLog('worker exited', ({ workerPid }) => workerPid === victim);
  expect(summarise(await load.stop()).failed).toBe(0);
  const successor = service.logs('worker ready').find(({ ready }) => ready === 3);
  expect(Date.parse(String(successor?.['time']))).toBeLessThanOrEqual(
    Date.parse(String(ended['time'])),
  );
});

test('SIGTERM to one worker: it serves until its successor is ready, however long that takes', async () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'broken-'));
  const fault = path.join(dir, 'fault');
  const service = await start({
    FIXTURE_BREAK: fault,
    WORKER_READY_TIMEOUT_MS: '7000',
    DB_CONNECT_WAIT_MS: '100',
    DB_SERVER_SELECTION_TIMEOUT_MS: '100',
  });
  writeFileSync(fault, 'hang');
  const victim = victimOf(service.workerPids());
  process.kill(victim, 'SIGTERM');
  // The successor hangs until it is killed; a worker waits 5 s for an answer of its primary.
  await service.waitForLog('worker exited unexpectedly');
  expect(isRunning(victim)).toBe(true);
  expect((await answerOf(service)).workers).toBe(2);
  rmSync(dir, { recursive: true });
  await service.waitForLog('worker exited', ({ workerPid }) => workerPid === victim);
  expect((await answerOf(service)).workers).toBe(2);
});

test('a signal to the whole process group starts no successors', async () => {
  const service = await start();
  for (const pid of service.workerPids()) process.kill(pid, 'SIGINT');
  service.signal('SIGINT');
  expect(await service.exited).toEqual({ code: exitCodes.ok, signal: null });
  expect(service.logs('worker ready')).toHaveLength(2);
});

test('workers finish their requests and exit when the primary is killed', async () => {
  const service = await start();
  const workers = service.workerPids();
  const slow = send(service, '/slow?amount=500');
  await until('the request to arrive', async () => (await answerOf(service)).workers === 2);
  service.signal('SIGKILL');
  expect(await slow).toBe(200);
  await until('the workers to end', () => !workers.some(isRunning));
});

test('signals scale up and down without a failed request', async () => {
  const service = await start();
  const load = open(service);
  service.signal('SIGUSR2');
  await whole(service, 3);
  service.signal('SIGTTOU');
  await whole(service, 2);
  await until('the surplus worker to end', () => service.workerPids().length === 2);
  expect(summarise(await load.stop()).failed).toBe(0);
});

test('an address in use has its own exit code', async () => {
  const first = await start();
  const second = await start({ PORT: String(first.port) }, { failing: true });
  expect((await second.exited).code).toBe(exitCodes.address);
  expect(second.logs().some(({ msg }) => msg.startsWith('cannot listen on'))).toBe(true);
});

/** Sends one request on a new connection. Resolves with the status. */
function send(service: ServiceProcess, path = '/'): Promise<number> {
  return new Promise((resolve, reject) => {
    const sending = request(service.url + path, { agent: false }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode ?? 0));
      answer.once('error', reject);
    });
    sending.once('error', reject);
    sending.end();
  });
}

test('the service runs without a usable temporary folder for its sockets', async () => {
  const service = await start({ RUNTIME_DIR: '', TMPDIR: '/dev/null/none' });
  expect((await fetch(service.url)).status).toBe(200);
  expect(service.logs('RUNTIME_DIR unusable, metrics and control socket disabled')).toHaveLength(1);
});
