import cluster from 'node:cluster';
import type { Socket } from 'node:net';
import type { Registry } from 'prom-client';
import { type Config, ConfigError, type ProcessRole } from '../../kernel/config/config';
import { type Closable, withTimeout } from '../../kernel/lifecycle';
import type { ApiServer } from '../../platform/http/server';
import type { Logger } from '../../platform/telemetry/logger';
import type { RecentLines } from '../../platform/telemetry/recent-lines';
import { exitCodes } from '../exit-codes';
import { isPrimaryMessage, type PrimaryMessage, type WorkerMessage } from '../messages';
import { liveWorkers, offerMetrics } from '../metrics/exchange';
import { startOps } from '../metrics/ops-server';
import { openRuntimeDir } from '../runtime-dir';
import { forwardWarnings } from './forward-warnings';
import { startHeartbeat } from './heartbeat';
import { onFirstSignal } from './signals';
import { exposeWorkers } from './worker-metrics';

/**
 * Connects a worker to its process manager: our primary, PM2 in cluster mode, or none. The worker
 * behaves the same under each.
 */
export interface Member {
  readonly id: number;
  readonly role: ProcessRole['role'];
  /** A random name of the primary, which the ops port shows as well; undefined without one. */
  readonly instance: string | undefined;
  /** The engine of the embedded database that the primary started; undefined without one. */
  readonly engine: string | undefined;
  /** Starts accepting connections: from the primary, or on a listener of its own. */
  listen(api: ApiServer): Promise<void>;
  /** Tells the process manager that the worker accepts requests. */
  ready(): void;
  /** Sets the callback of the drain (`lifecycle.close`). Called once, under a deadline. */
  onDrain(callback: () => Promise<{ readonly clean: boolean }>): void;
  /** Workers that are ready, this one included. */
  workers(): number;
  /**
   * Adds this worker's metrics to the sum on the ops port (which PM2's workers serve themselves).
   * Close it last.
   */
  exposeMetrics(registry: Registry): Promise<Closable>;
  /**
   * After a failed start or an error that the process cannot survive: drains, exits with `code`.
   */
  fail(error: unknown, code?: number): void;
  /** Resolves with the exit code when the drain is over. */
  readonly done: Promise<number>;
}

export interface MemberOptions {
  readonly config: Pick<Config, 'server' | 'cluster'>;
  readonly role: ProcessRole;
  readonly log: Logger;
  readonly recent: RecentLines;
}

/** How long a worker that received a signal waits for its primary's answer. */
const RETIRE_WAIT_MS = 5000;

export function createMember({ config, role, log, recent }: MemberOptions): Member {
  const { server, cluster: bounds } = config;
  const managed = role.role === 'worker';
  let api: ApiServer | undefined;
  let ready = 1;
  let isReady = false;
  let runtimeDir: string | undefined;
  let drainCallback: (() => Promise<{ readonly clean: boolean }>) | undefined;
  let draining = false;
  let unanswered: NodeJS.Timeout | undefined;
  let finish: (code: number) => void = () => {};
  const done = new Promise<number>((resolve) => {
    finish = resolve;
  });

  function send(message: WorkerMessage): void {
    // The channel may close at any moment: the 'disconnect' handler reacts to that.
    if (managed && process.connected) process.send?.(message, undefined, undefined, () => {});
  }

  async function drain(
    reason: string,
    delayMs: number,
    code: number = exitCodes.ok,
  ): Promise<void> {
    if (draining) return;
    draining = true;
    log.info({ reason }, 'drain started');
    api?.leave();
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    heartbeat.close();
    try {
      const result = await withTimeout(
        Promise.resolve(drainCallback?.()),
        server.shutdownDeadlineMs,
        'the drain',
      );
      finish(
        code !== exitCodes.ok ? code : result?.clean === false ? exitCodes.forced : exitCodes.ok,
      );
    } catch (error) {
      log.error({ err: error }, 'drain failed');
      finish(code !== exitCodes.ok ? code : exitCodes.forced);
    }
  }

  function drainUnasked(reason: string, code?: number): void {
    if (draining) return;
    send({ type: 'draining' });
    // With a primary, other workers take over at once; without one the load balancer has to notice
    // first.
    void drain(reason, managed ? 0 : server.shutdownDelayMs, code);
  }

  function accept(seq: number, socket: Socket | undefined): void {
    // A socket that its client closed on the way arrives as undefined.
    const accepted = socket === undefined || (api?.accept(socket) ?? false);
    if (!accepted) socket?.destroy();
    send({ type: 'ack', seq, accepted, connections: api?.connections() ?? 0 });
  }

  function receive(message: PrimaryMessage, socket: Socket | undefined): void {
    if (message.type === 'connection') accept(message.seq, socket);
    else if (message.type === 'sync') send({ type: 'synced', seq: message.seq });
    else if (message.type === 'workers') ready = message.ready;
    else if (message.type === 'leaving') api?.leave();
    else if (message.type === 'recycling') clearTimeout(unanswered);
    else void drain('request of the primary', 0);
  }

  if (managed) forwardWarnings(recent, (line) => send({ type: 'warning', line }));
  const heartbeat = managed
    ? startHeartbeat(bounds.heartbeatMs, () => api?.connections() ?? 0, send)
    : { close() {} };
  process.on('message', (message: unknown, handle: unknown) => {
    if (managed && isPrimaryMessage(message)) receive(message, handle as Socket | undefined);
    // PM2 with shutdown_with_message, the only way on Windows.
    else if (message === 'shutdown') drainUnasked('request of PM2');
  });
  if (managed) {
    // Emitted just before Node would end the process; requests in flight can still be finished.
    cluster.worker?.once('disconnect', () => {
      if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
      void drain('primary exited', 0);
    });
  }
  // Our primary has a watchdog for this; PM2 would take the worker for ready.
  const tooLate = setTimeout(
    () => member.fail(new Error('not ready in time')),
    bounds.readyTimeoutMs,
  ).unref();
  onFirstSignal((signal) => {
    if (!managed) return drainUnasked(signal);
    send({ type: 'retire' });
    // For a primary that is stopped or stuck.
    unanswered = setTimeout(drainUnasked, RETIRE_WAIT_MS, signal).unref();
  });
  process.on('uncaughtException', (error) => member.fail(error));
  process.on('unhandledRejection', (error) => member.fail(error));

  const member: Member = {
    id: role.workerId,
    role: role.role,
    instance: role.instance,
    engine: role.engine,
    async listen(given) {
      api = given;
      if (managed) given.open();
      else await given.listen(server);
    },
    ready() {
      clearTimeout(tooLate);
      isReady = true;
      if (managed) send({ type: 'ready' });
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
        if (!managed) exposeWorkers(registry, role.wanted, () => isReady && !draining);
        opened.push(await offerMetrics(runtimeDir, role.workerId, registry));
        if (!managed && server.opsPort !== 0)
          opened.push(
            await startOps({
              ...{ host: server.opsHost, port: server.opsPort, names: server.opsNames },
              runtimeDir,
              page: { environment: server.environment, recent },
            }),
          );
      } catch (error) {
        log.error({ err: error }, 'worker metrics unavailable');
      }
      return {
        async close() {
          for (const one of opened.reverse()) await one.close();
        },
      };
    },
    fail(error, code = exitCodes.software) {
      const message = error instanceof ConfigError ? error.message : 'fatal error, worker exiting';
      log.fatal({ err: error, code }, draining ? 'error during drain' : message);
      drainUnasked('fatal error', code);
    },
    done,
  };
  return member;
}
