import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Closable } from '../lifecycle';
import type { Logger } from '../observability/logger';
import type { WorkerHandle } from './handle';

/**
 * Accepts the connections and gives each to the ready worker with the fewest. Node's own round robin forgets a
 * connection whose worker dies between receiving it and saying so: the client then waits for ever. Here the primary
 * keeps its copy of the socket until the worker has answered `took`; what a dead worker had not taken goes to another.
 * Nothing is ever read from a socket here, so a worker always sees the connection from its first byte.
 */
export interface Distributor extends Closable {
  listen(): Promise<AddressInfo>;
  /** Accepts no more, and resolves when the workers have taken what had been accepted (or after `timeoutMs`). */
  stop(timeoutMs: number): Promise<void>;
  /** A worker is ready for connections. */
  add(worker: WorkerHandle): void;
  /** A worker takes no more: it drains or is gone. Call again after its exit: what it had not taken is then given to others. */
  remove(worker: WorkerHandle, gone: boolean): void;
  took(worker: WorkerHandle, seq: number, taken: boolean, connections: number): void;
  /** Everything sent up to `seq` has been read by the worker. */
  synced(worker: WorkerHandle, seq: number): void;
  heard(worker: WorkerHandle, connections: number): void;
  state(): { readonly waiting: number; readonly refused: number; readonly accepted: number };
}

export interface DistributorOptions {
  readonly host: string;
  readonly port: number;
  /** How long a connection waits while no worker is ready, in ms, before it is answered with 503. */
  readonly waitMs: number;
  /** The same while workers are ready but too busy to take one: overload. Shorter, as waiting longer helps nobody then. */
  readonly busyWaitMs: number;
  readonly queueMax: number;
  readonly log: Logger;
  readonly now: () => number;
}

interface Waiting {
  readonly socket: Socket;
  readonly sinceMs: number;
}

interface Seat {
  readonly worker: WorkerHandle;
  open: boolean;
  connections: number;
  /** Up to where the worker was asked whether it has read everything. */
  askedSeq: number;
  readonly untaken: Map<number, Waiting & { readonly sentMs: number }>;
}

/** Connections that may be on their way to one worker. A second one hides the latency of the first's answer. */
const IN_FLIGHT_MAX = 4;
/** A worker that has not answered for this long is busy or stuck: the next connection goes elsewhere. */
const SLOW_ANSWER_MS = 100;
const SWEEP_MS = 100;
/** A connection without an answer for this long may have been lost: a worker without a free descriptor never sees it. */
const LOST_AFTER_MS = 1000;

export function createDistributor(options: DistributorOptions): Distributor {
  const { host, port, waitMs, busyWaitMs, queueMax, log, now } = options;
  const seats = new Map<WorkerHandle, Seat>();
  const queue: Waiting[] = [];
  /** Since when some worker takes connections; a wait for the first one is not the wait of an overload. */
  let openSinceMs = Number.POSITIVE_INFINITY;
  let sequence = 0;
  let accepted = 0;
  let refused = 0;

  const server: Server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => {
    // A reset by the client while it waits here is the client's affair.
    socket.on('error', () => {});
    accepted++;
    queue.push({ socket, sinceMs: now() });
    if (queue.length > queueMax) refuse(queue.shift());
    pump();
  });

  function refuse(waiting: Waiting | undefined): void {
    if (waiting === undefined) return;
    refused++;
    refuseConnection(waiting.socket);
  }

  function isFree({ open, untaken, worker }: Seat, at: number): boolean {
    if (!open || worker.suspect || untaken.size >= IN_FLIGHT_MAX) return false;
    const oldest = untaken.values().next().value;
    return oldest === undefined || at - oldest.sentMs < SLOW_ANSWER_MS;
  }

  function pick(): Seat | undefined {
    const at = now();
    let best: Seat | undefined;
    for (const seat of seats.values()) {
      if (!isFree(seat, at)) continue;
      if (best === undefined || seat.connections < best.connections) best = seat;
    }
    return best;
  }

  function pump(): void {
    while (queue.length > 0) {
      const seat = pick();
      if (seat === undefined) return;
      const waiting = queue.shift() as Waiting;
      sequence++;
      seat.connections++;
      seat.untaken.set(sequence, { ...waiting, sentMs: now() });
      seat.worker.sendConnection(sequence, waiting.socket);
    }
  }

  // Free seats are announced by answers; only time passing without one needs a clock.
  const sweep = setInterval(() => {
    const at = now();
    if (![...seats.values()].some(({ open }) => open)) openSinceMs = Number.POSITIVE_INFINITY;
    const isOver = ({ sinceMs }: Waiting) => at - sinceMs > waitMs || at - Math.max(sinceMs, openSinceMs) > busyWaitMs;
    while (queue[0] !== undefined && isOver(queue[0])) refuse(queue.shift());
    for (const seat of seats.values()) askForLost(seat, at);
    pump();
  }, SWEEP_MS);

  /** Connections up to `seq` that the worker will never take go to whoever is free. */
  function requeue({ worker, untaken }: Seat, seq: number): void {
    const lost = [...untaken].filter(([one]) => one <= seq);
    if (lost.length === 0) return;
    log.info({ worker: worker.id, connections: lost.length }, 'connections given to other workers');
    const at = now();
    for (const [one, { socket, sinceMs }] of lost) {
      untaken.delete(one);
      // After a death the wait begins anew; one that keeps getting lost is answered with 503 in the end.
      queue.unshift({ socket, sinceMs: seats.has(worker) ? sinceMs : at });
    }
    pump();
  }

  function askForLost(seat: Seat, at: number): void {
    const [oldest] = seat.untaken;
    if (oldest === undefined || at - oldest[1].sentMs < LOST_AFTER_MS || seat.askedSeq >= oldest[0]) return;
    seat.askedSeq = sequence;
    seat.worker.send({ type: 'sync', seq: sequence });
  }

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port, backlog: 2048 }, () => {
          server.removeListener('error', reject);
          server.on('error', (error) => log.error({ err: error }, 'the listener reported an error'));
          resolve(server.address() as AddressInfo);
        });
      }),
    add(worker) {
      openSinceMs = Math.min(openSinceMs, now());
      seats.set(worker, { worker, open: true, connections: 0, askedSeq: 0, untaken: new Map() });
      pump();
    },
    remove(worker, gone) {
      const seat = seats.get(worker);
      if (seat === undefined) return;
      seat.open = false;
      if (!gone) return;
      seats.delete(worker);
      requeue(seat, sequence);
    },
    took(worker, seq, taken, connections) {
      const seat = seats.get(worker);
      const waiting = seat?.untaken.get(seq);
      if (seat === undefined || waiting === undefined) return;
      seat.untaken.delete(seq);
      seat.connections = connections + seat.untaken.size;
      if (taken) waiting.socket.destroy();
      else {
        seat.open = false;
        queue.unshift({ socket: waiting.socket, sinceMs: waiting.sinceMs });
      }
      pump();
    },
    synced(worker, seq) {
      const seat = seats.get(worker);
      if (seat !== undefined) requeue(seat, seq);
    },
    heard(worker, connections) {
      const seat = seats.get(worker);
      if (seat !== undefined) seat.connections = connections + seat.untaken.size;
    },
    async stop(timeoutMs) {
      if (server.listening) server.close();
      const deadline = now() + timeoutMs;
      const busy = () => queue.length > 0 || [...seats.values()].some(({ untaken }) => untaken.size > 0);
      while (busy() && now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    state: () => ({ waiting: queue.length, refused, accepted }),
    async close() {
      clearInterval(sweep);
      // The callback of close() would wait until the workers have ended every connection that came from here.
      if (server.listening) server.close();
      for (const waiting of queue.splice(0)) refuse(waiting);
    },
  };
}

const REFUSAL = (() => {
  const body = JSON.stringify({
    type: 'about:blank',
    title: 'Service unavailable',
    status: 503,
    detail: 'No worker could take this connection in time. Try again after the time in Retry-After.',
    code: 'overloaded',
  });
  const head = [
    'HTTP/1.1 503 Service Unavailable',
    'Content-Type: application/problem+json',
    `Content-Length: ${body.length}`,
    'Retry-After: 1',
  ];
  return [...head, 'Cache-Control: no-store', 'Connection: close', '', body].join('\r\n');
})();
const REFUSAL_LINGER_MS = 1000;

/** An answer that any HTTP client understands, whatever it has asked. */
function refuseConnection(socket: Socket): void {
  // The request must be read: closing with unread bytes would reset the connection and the answer with it.
  socket.resume();
  socket.end(REFUSAL);
  socket.setTimeout(REFUSAL_LINGER_MS, () => socket.destroy());
  socket.once('end', () => socket.destroy());
}

/** Rejects with what listening there would reject with (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
export async function probeAddress(host: string, port: number): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}
