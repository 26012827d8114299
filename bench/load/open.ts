import { connect, type Socket } from 'node:net';
import { seededRandom } from '../stats';
import { emptyHistogram, type Histogram, record } from './histogram';
import { createSource, type Stripe } from './traffic';

const AWAKE_MS = 2;

export interface OpenSpec {
  readonly kind: 'open';
  readonly url: string;
  readonly trafficFile: string;
  readonly connections: number;
  readonly seconds: number;
  /**
   * Requests per second over all load processes, as a Poisson process: arrivals do not wait for
   * answers.
   */
  readonly rate: number;
}

export interface OpenResult {
  readonly latency: Histogram;
  /** How long after its time each request was sent that a free connection waited for. */
  readonly late: Histogram;
  readonly statuses: Readonly<Record<string, number>>;
  readonly errors: number;
}

/**
 * Latency counts from the moment a request was *due*, also when every connection was busy then. A
 * generator that waits for the slow answer instead leaves out exactly the requests that would have
 * suffered (coordinated omission; autocannon's and wrk's closed loops do that, and autocannon's
 * rate option sends each second's share in one burst).
 */
export async function runOpen(spec: OpenSpec, stripe: Stripe): Promise<OpenResult> {
  const { hostname, port, host } = new URL(spec.url);
  const next = createSource(spec.trafficFile, host, stripe);
  const random = seededRandom(7919 + stripe.index);
  const meanGapMs = 1000 / (spec.rate / stripe.count);
  const result = {
    ...{ latency: emptyHistogram(), late: emptyHistogram(), errors: 0 },
    statuses: {} as Record<string, number>,
  };
  const due: number[] = [];
  const idle: Connection[] = [];
  let open = 0;
  let unanswered = 0;

  function answered(connection: Connection, status: string, dueAt: number): void {
    record(result.latency, performance.now() - dueAt);
    result.statuses[status] = (result.statuses[status] ?? 0) + 1;
    unanswered -= 1;
    const waiting = due.shift();
    if (waiting === undefined) idle.push(connection);
    else connection.send(next(), waiting);
  }

  function lost(connection: Connection, inFlight: boolean): void {
    if (inFlight) unanswered -= 1;
    result.errors += 1;
    const index = idle.indexOf(connection);
    if (index >= 0) idle.splice(index, 1);
    open -= 1;
  }

  const count = Math.max(1, Math.round(spec.connections / stripe.count));
  const connections = await Promise.all(
    Array.from({ length: count }, () => dial(hostname, Number(port), answered, lost)),
  );
  open = connections.length;
  idle.push(...connections);

  const end = performance.now() + spec.seconds * 1000;
  let dueAt = performance.now();
  function sendDue(now: number): void {
    for (; dueAt <= now && dueAt < end; dueAt -= Math.log(1 - random()) * meanGapMs) {
      unanswered += 1;
      // In turn, so that none is idle for so long that the server gives it up.
      const connection = idle.shift();
      if (connection === undefined) due.push(dueAt);
      else {
        record(result.late, performance.now() - dueAt);
        connection.send(next(), dueAt);
      }
    }
  }
  /** Late answers count: the run ends when all are in, or 10 s after its time. */
  const isOver = (now: number): boolean =>
    now >= end && (unanswered === 0 || open === 0 || now >= end + 10_000);

  await new Promise<void>((resolve) => {
    (function turn() {
      const now = performance.now();
      sendDue(now);
      if (isOver(now)) resolve();
      // Timers are late by about a millisecond, so the last part of the wait is a busy loop. Other
      // processes on this core run during the timer.
      else if (dueAt - now > AWAKE_MS)
        setTimeout(turn, Math.min(dueAt - now - AWAKE_MS, AWAKE_MS * 5));
      else setImmediate(turn);
    })();
  });
  result.errors += unanswered;
  for (const connection of connections) connection.close();
  return result;
}

interface Connection {
  send(bytes: Buffer, dueAt: number): void;
  close(): void;
}

async function dial(
  host: string,
  port: number,
  answered: (connection: Connection, status: string, dueAt: number) => void,
  lost: (connection: Connection, inFlight: boolean) => void,
): Promise<Connection> {
  const socket: Socket = connect({ host, port, noDelay: true });
  await new Promise<void>((resolve, reject) =>
    socket.once('connect', resolve).once('error', reject),
  );
  let dueAt: number | undefined;
  let received = '';
  let closed = false;
  const connection: Connection = {
    send(bytes, at) {
      dueAt = at;
      socket.write(bytes);
    },
    close() {
      closed = true;
      socket.destroy();
    },
  };
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    received += text;
    const status = completeStatus(received);
    if (status === undefined || dueAt === undefined) return;
    received = '';
    const at = dueAt;
    dueAt = undefined;
    answered(connection, status, at);
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    if (!closed) lost(connection, dueAt !== undefined);
  });
  return connection;
}

/**
 * The status once the whole answer is there, else undefined. Knows answers with a Content-Length
 * and chunked ones.
 */
export function completeStatus(received: string): string | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const status = received.slice(9, 12);
  if (status === '204' || status === '304') return status;
  const head = received.slice(0, headEnd);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined)
    return received.length >= headEnd + 4 + Number(length) ? status : undefined;
  if (!/\r\ntransfer-encoding: *chunked/i.test(head))
    throw new Error(`an answer of unknown length:\n${head}`);
  return received.endsWith('0\r\n\r\n') ? status : undefined;
}
