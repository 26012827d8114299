import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Closable } from '../../kernel/lifecycle';
import { createEarlyAnswers, type EarlyAnswers } from '../../platform/http/early-answers';
import type { Logger } from '../../platform/telemetry/logger';
import { overloadedProblem, refuseConnection } from './refuse-connection';
import type { WorkerHandle } from './worker-handle';
import { isUnresponsive } from './worker-state';

/**
 * Accepts the connections and passes each to the ready worker that has the fewest. Node's own round
 * robin forgets a connection whose worker dies between receiving and acknowledging it: the client
 * then waits for ever. Here the primary keeps its copy of the socket until the worker sends `ack`;
 * connections that a dead worker did not acknowledge go to another. The primary never reads from a
 * socket, so a worker always sees the connection from its first byte.
 */
export interface Distributor extends Closable {
  listen(): Promise<AddressInfo>;
  /**
   * Closes the listener; resolves when the workers have acknowledged every accepted connection (or
   * after `timeoutMs`).
   */
  stop(timeoutMs: number): Promise<void>;
  /** The worker is ready for connections. */
  add(worker: WorkerHandle): void;
  /**
   * The worker gets no more connections: it drains or is gone. Call again after its exit:
   * connections that it did not acknowledge then go to other workers.
   */
  remove(worker: WorkerHandle, gone: boolean): void;
  /** The worker accepted connection `seq`, or refused it because it drains. */
  ack(worker: WorkerHandle, seq: number, accepted: boolean, connections: number): void;
  /** The worker has read every message up to `seq`. */
  synced(worker: WorkerHandle, seq: number): void;
  /** A heartbeat: how many connections the worker has. */
  heard(worker: WorkerHandle, connections: number): void;
  state(): { readonly waiting: number; readonly refused: number; readonly accepted: number };
}

export interface DistributorOptions {
  readonly host: string;
  readonly port: number;
  /** How long a connection waits while no worker is ready before it is answered with 503. */
  readonly waitMs: number;
  /**
   * The same while workers are ready but overloaded. Shorter: waiting longer does not help then.
   */
  readonly busyWaitMs: number;
  readonly queueMax: number;
  readonly log: Logger;
  readonly now: () => number;
  /** Builds the answer to a connection that no worker accepted. */
  readonly refusals?: Pick<EarlyAnswers, 'unread'>;
}

interface Waiting {
  readonly socket: Socket;
  readonly sinceMs: number;
}

/** The connections of one worker. */
interface Slot {
  readonly worker: WorkerHandle;
  /** Gets new connections. */
  open: boolean;
  connections: number;
  /** The highest number in a `sync` message to the worker. */
  askedSeq: number;
  /** Sent to the worker, which has not answered `ack` yet; oldest first. */
  readonly unacknowledged: Map<number, Waiting & { readonly sentMs: number }>;
}

/**
 * Connections that may be on their way to one worker. A second one hides the latency of the first's
 * answer.
 */
const IN_FLIGHT_MAX = 4;
/** A worker that has not answered for this long is busy or stuck: it gets no further connection. */
const SLOW_ANSWER_MS = 100;
const SWEEP_MS = 100;
/**
 * A connection without `ack` for this long may be lost: a worker without a free file descriptor
 * never receives it.
 */
const LOST_AFTER_MS = 1000;

export function createDistributor(options: DistributorOptions): Distributor {
  const {
    host,
    port,
    waitMs,
    busyWaitMs,
    queueMax,
    log,
    now,
    refusals = createEarlyAnswers(),
  } = options;
  const slots = new Map<WorkerHandle, Slot>();
  const queue: Waiting[] = [];
  /** Since when some worker accepts connections: before it, a wait is no sign of overload. */
  let openSinceMs = Number.POSITIVE_INFINITY;
  let sequence = 0;
  let accepted = 0;
  let refused = 0;

  const server: Server = createServer(
    { pauseOnConnect: true, allowHalfOpen: true, noDelay: true },
    (socket) => {
      // A client may reset its connection while it waits here.
      socket.on('error', () => {});
      accepted++;
      queue.push({ socket, sinceMs: now() });
      if (queue.length > queueMax) refuse(queue.shift());
      pump();
    },
  );

  function refuse(waiting: Waiting | undefined): void {
    if (waiting === undefined) return;
    refused++;
    refuseConnection(waiting.socket, refusals.unread(overloadedProblem));
  }

  function isFree({ open, unacknowledged, worker }: Slot, at: number): boolean {
    if (!open || isUnresponsive(worker) || unacknowledged.size >= IN_FLIGHT_MAX) return false;
    const oldest = unacknowledged.values().next().value;
    return oldest === undefined || at - oldest.sentMs < SLOW_ANSWER_MS;
  }

  function pick(): Slot | undefined {
    const at = now();
    let best: Slot | undefined;
    for (const slot of slots.values()) {
      if (!isFree(slot, at)) continue;
      if (best === undefined || slot.connections < best.connections) best = slot;
    }
    return best;
  }

  function pump(): void {
    while (queue.length > 0) {
      const slot = pick();
      if (slot === undefined) return;
      const waiting = queue.shift() as Waiting;
      sequence++;
      slot.connections++;
      slot.unacknowledged.set(sequence, { ...waiting, sentMs: now() });
      slot.worker.sendConnection(sequence, waiting.socket);
    }
  }

  // An `ack` frees a slot at once; the timer is for connections that get none.
  const sweep = setInterval(() => {
    const at = now();
    if (![...slots.values()].some(({ open }) => open)) openSinceMs = Number.POSITIVE_INFINITY;
    const isOver = ({ sinceMs }: Waiting) =>
      at - sinceMs > waitMs || at - Math.max(sinceMs, openSinceMs) > busyWaitMs;
    while (queue[0] !== undefined && isOver(queue[0])) refuse(queue.shift());
    for (const slot of slots.values()) askForLost(slot, at);
    pump();
  }, SWEEP_MS);

  /** Connections up to `seq` that the worker will never acknowledge go to other workers. */
  function requeue({ worker, unacknowledged }: Slot, seq: number): void {
    const lost = [...unacknowledged].filter(([one]) => one <= seq);
    if (lost.length === 0) return;
    log.info(
      { worker: worker.id, connections: lost.length },
      'connections reassigned to other workers',
    );
    const at = now();
    for (const [one, { socket, sinceMs }] of lost) {
      unacknowledged.delete(one);
      // After a crash the wait begins anew; a connection that is lost again and again is answered
      // with 503 in the end.
      queue.unshift({ socket, sinceMs: slots.has(worker) ? sinceMs : at });
    }
    pump();
  }

  function askForLost(slot: Slot, at: number): void {
    const [oldest] = slot.unacknowledged;
    if (oldest === undefined || at - oldest[1].sentMs < LOST_AFTER_MS || slot.askedSeq >= oldest[0])
      return;
    slot.askedSeq = sequence;
    slot.worker.send({ type: 'sync', seq: sequence });
  }

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port, backlog: 2048 }, () => {
          server.removeListener('error', reject);
          server.on('error', (error) => log.error({ err: error }, 'listener error'));
          resolve(server.address() as AddressInfo);
        });
      }),
    add(worker) {
      openSinceMs = Math.min(openSinceMs, now());
      slots.set(worker, {
        worker,
        open: true,
        connections: 0,
        askedSeq: 0,
        unacknowledged: new Map(),
      });
      pump();
    },
    remove(worker, gone) {
      const slot = slots.get(worker);
      if (slot === undefined) return;
      slot.open = false;
      if (!gone) return;
      slots.delete(worker);
      requeue(slot, sequence);
    },
    ack(worker, seq, isAccepted, connections) {
      const slot = slots.get(worker);
      const waiting = slot?.unacknowledged.get(seq);
      if (slot === undefined || waiting === undefined) return;
      slot.unacknowledged.delete(seq);
      slot.connections = connections + slot.unacknowledged.size;
      if (isAccepted) waiting.socket.destroy();
      else {
        slot.open = false;
        queue.unshift({ socket: waiting.socket, sinceMs: waiting.sinceMs });
      }
      pump();
    },
    synced(worker, seq) {
      const slot = slots.get(worker);
      if (slot !== undefined) requeue(slot, seq);
    },
    heard(worker, connections) {
      const slot = slots.get(worker);
      if (slot !== undefined) slot.connections = connections + slot.unacknowledged.size;
    },
    async stop(timeoutMs) {
      if (server.listening) server.close();
      const deadline = now() + timeoutMs;
      const busy = () =>
        queue.length > 0 ||
        [...slots.values()].some(({ unacknowledged }) => unacknowledged.size > 0);
      while (busy() && now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    state: () => ({ waiting: queue.length, refused, accepted }),
    async close() {
      clearInterval(sweep);
      // The callback of close() would wait until the workers have ended every connection that was
      // accepted here.
      if (server.listening) server.close();
      for (const waiting of queue.splice(0)) refuse(waiting);
    },
  };
}
