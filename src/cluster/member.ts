import cluster from 'node:cluster';
import type { Socket } from 'node:net';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { Registry } from 'prom-client';
import type { Config, ProcessRole } from '../config';
import type { ApiServer } from '../http/server';
import { type Closable, withTimeout } from '../lifecycle';
import type { Logger } from '../observability/logger';
import { exitCodes } from './exit-codes';
import { isPrimaryMessage, type PrimaryMessage, type WorkerMessage } from './messages';
import { liveWorkers, offerMetrics } from './metrics-exchange';
import { startOps } from './ops';
import { openRuntimeDir } from './runtime-dir';

/** A worker's tie to whatever runs it: our primary, PM2 in cluster mode, or nobody. It behaves the same under each. */
export interface Member {
  readonly id: number;
  readonly role: ProcessRole['role'];
  /** The engine of the embedded database that the primary started; undefined with a MONGODB_URI of one's own. */
  readonly engine: string | undefined;
  /** Starts taking connections: from the primary, or from a listener of its own. */
  listen(api: ApiServer): Promise<void>;
  /** Tells the manager that requests may come. */
  ready(): void;
  /** What to do when this worker is to end: `lifecycle.close`. Called once; the member sees to the deadline. */
  onDrain(callback: () => Promise<{ readonly clean: boolean }>): void;
  /** Workers that are ready, this one included. */
  workers(): number;
  /** Adds this worker's numbers to the sum on the ops port (which PM2's workers serve themselves). Close it last. */
  exposeMetrics(registry: Registry): Promise<Closable>;
  /** Start-up failed, or something broke that the process cannot outlive: drains, then ends with `code`. */
  fail(error: unknown, code?: number): void;
  /** Resolves with the exit code when the drain is over. */
  readonly done: Promise<number>;
}

export interface MemberOptions {
  readonly config: Pick<Config, 'server' | 'cluster'>;
  readonly role: ProcessRole;
  readonly log: Logger;
}

/** The histogram counts its own sampling interval as delay. */
const LOOP_RESOLUTION_MS = 20;
/** How long a worker that was told to end waits for its primary to start a successor, in ms. */
const RETIRE_WAIT_MS = 5000;
const MEBIBYTE = 1024 * 1024;

export function createMember({ config, role, log }: MemberOptions): Member {
  const { server, cluster: bounds } = config;
  const managed = role.role === 'worker';
  let api: ApiServer | undefined;
  let ready = 1;
  let runtimeDir: string | undefined;
  let drainCallback: (() => Promise<{ readonly clean: boolean }>) | undefined;
  let draining = false;
  let finish: (code: number) => void = () => {};
  const done = new Promise<number>((resolve) => {
    finish = resolve;
  });

  function tell(message: WorkerMessage): void {
    // The channel may close at any moment: 'disconnect' is what we act upon.
    if (managed && process.connected) process.send?.(message, undefined, undefined, () => {});
  }

  async function drain(reason: string, delayMs: number, code: number = exitCodes.ok): Promise<void> {
    if (draining) return;
    draining = true;
    log.info({ reason }, 'draining');
    api?.leave();
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    heartbeat.close();
    try {
      const result = await withTimeout(Promise.resolve(drainCallback?.()), server.shutdownDeadlineMs, 'the drain');
      finish(code !== exitCodes.ok ? code : result?.clean === false ? exitCodes.forced : exitCodes.ok);
    } catch (error) {
      log.error({ err: error }, 'the drain failed');
      finish(code !== exitCodes.ok ? code : exitCodes.forced);
    }
  }

  function leaveByItself(reason: string, code?: number): void {
    if (draining) return;
    tell({ type: 'draining' });
    // With a primary others take over at once; alone or under PM2 the balancer has to notice first.
    void drain(reason, managed ? 0 : server.shutdownDelayMs, code);
  }

  function take(seq: number, socket: Socket | undefined): void {
    // A socket whose client has left in transit arrives as nothing.
    const taken = socket === undefined || (api?.accept(socket) ?? false);
    if (!taken) socket?.destroy();
    tell({ type: 'took', seq, taken, connections: api?.connections() ?? 0 });
  }

  function hear(message: PrimaryMessage, socket: Socket | undefined): void {
    if (message.type === 'connection') take(message.seq, socket);
    else if (message.type === 'sync') tell({ type: 'synced', seq: message.seq });
    else if (message.type === 'workers') ready = message.ready;
    else if (message.type === 'leaving') api?.leave();
    else void drain('the primary asked for it', 0);
  }

  const heartbeat = managed ? startHeartbeat(bounds.heartbeatMs, () => api?.connections() ?? 0, tell) : { close() {} };
  process.on('message', (message: unknown, handle: unknown) => {
    if (managed && isPrimaryMessage(message)) hear(message, handle as Socket | undefined);
    // PM2 with shutdown_with_message, the only way on Windows.
    else if (message === 'shutdown') leaveByItself('PM2 asked for it');
  });
  if (managed) {
    // Emitted just before Node would end the process here and now; what is in flight can still be finished.
    cluster.worker?.once('disconnect', () => {
      if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
      void drain('the primary is gone', 0);
    });
  }
  // Our primary has a watchdog for this; PM2 would go on as if the worker were ready.
  const tooLate = setTimeout(() => member.fail(new Error('not ready in time')), bounds.readyTimeoutMs).unref();
  listenToSignals((signal) => {
    if (!managed) return leaveByItself(signal);
    tell({ type: 'retire' });
    // A primary that does not answer is stopped or stuck.
    setTimeout(leaveByItself, RETIRE_WAIT_MS, signal).unref();
  });
  process.on('uncaughtException', (error) => member.fail(error));
  process.on('unhandledRejection', (error) => member.fail(error));

  const member: Member = {
    id: role.workerId,
    role: role.role,
    engine: role.engine,
    async listen(given) {
      api = given;
      if (managed) given.open();
      else await given.listen(server);
    },
    ready() {
      clearTimeout(tooLate);
      if (managed) tell({ type: 'ready' });
      // PM2's wait_ready.
      else process.send?.('ready');
    },
    onDrain(callback) {
      drainCallback = callback;
    },
    workers: () => (managed || runtimeDir === undefined ? ready : liveWorkers(runtimeDir).length),
    async exposeMetrics(registry) {
      const opened: Closable[] = [];
      try {
        runtimeDir = openRuntimeDir(config);
        opened.push(await offerMetrics(runtimeDir, role.workerId, registry));
        if (!managed && server.opsPort !== 0) opened.push(await startOps({ host: server.opsHost, port: server.opsPort, runtimeDir }));
      } catch (error) {
        log.error({ err: error }, 'the metrics of this worker are not served');
      }
      return {
        async close() {
          for (const one of opened.reverse()) await one.close();
        },
      };
    },
    fail(error, code = exitCodes.software) {
      log.fatal({ err: error }, draining ? 'an error during the drain' : 'this worker has to end');
      leaveByItself('an error', code);
    },
    done,
  };
  return member;
}

/** The first signal begins the drain; the second finds Node's own handling and ends the process at once. */
function listenToSignals(callback: (signal: NodeJS.Signals) => void): void {
  const signals = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;
  const handle = (signal: NodeJS.Signals) => {
    for (const each of signals) process.removeListener(each, handle);
    callback(signal);
  };
  for (const signal of signals) process.on(signal, handle);
  // A closed terminal is no reason to end a service; under our primary SIGHUP means reload, and is the primary's.
  process.on('SIGHUP', () => {});
}

function startHeartbeat(everyMs: number, connections: () => number, tell: (message: WorkerMessage) => void): { close(): void } {
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  delay.enable();
  let before = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const after = performance.eventLoopUtilization();
    tell({
      type: 'beat',
      delayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS),
      utilisation: performance.eventLoopUtilization(after, before).utilization,
      // Not process.memoryUsage(): it opens a file, and throws when the process has no descriptor left.
      heapUsedMb: getHeapStatistics().used_heap_size / MEBIBYTE,
      connections: connections(),
    });
    delay.reset();
    before = after;
  }, everyMs);
  return {
    close() {
      clearInterval(timer);
      delay.disable();
    },
  };
}
