import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * A client with steady use sends its next request, almost always, within this multiple of its mean
 * interval.
 */
const INTERVALS_TO_WAIT = 5;

/** Use of a connection. Times are from performance.now(). */
export interface ConnectionUse {
  requests: number;
  firstMs: number;
  lastMs: number;
  /** The latest unfinished response. */
  pending: ServerResponse | undefined;
  /** The latest request with a body. */
  withBody: IncomingMessage | undefined;
}

/** The open connections of a server. */
export type Connections = ReadonlyMap<Socket, ConnectionUse>;

export const newUse = (): ConnectionUse => ({
  requests: 0,
  firstMs: 0,
  lastMs: 0,
  pending: undefined,
  withBody: undefined,
});

export function recordUse(connections: Connections, socket: Socket): ConnectionUse | undefined {
  const use = connections.get(socket);
  if (use === undefined) return undefined;
  use.lastMs = performance.now();
  if (use.requests++ === 0) use.firstMs = use.lastMs;
  return use;
}

/** Other requests are not referenced: they stay in the young generation. */
export function trackBody(use: ConnectionUse, request: IncomingMessage): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (length !== undefined || encoding !== undefined) use.withBody = request;
}

export function trackPending(use: ConnectionUse, response: ServerResponse): void {
  use.pending = response;
  response.once('close', () => {
    if (use.pending === response) use.pending = undefined;
  });
}

/**
 * For unfinished responses: kept-alive connections would be closed while the next request is on
 * its way.
 */
export function closeAfterAnswers(connections: Connections): void {
  for (const { pending } of connections.values())
    if (pending?.headersSent === false) pending.setHeader('Connection', 'close');
}

/**
 * Whether a connection is in steady use, or has unsent bytes of a response (Node counts it as
 * idle then).
 */
export function isAnyInUse(connections: Connections, longestMs: number): boolean {
  const now = performance.now();
  for (const [socket, { requests, firstMs, lastMs }] of connections) {
    if (socket.writableLength > 0) return true;
    const waitMs = requests < 2 ? 0 : (INTERVALS_TO_WAIT * (lastMs - firstMs)) / (requests - 1);
    // Longer intervals do not fit into the drain.
    if (waitMs <= longestMs && now - lastMs < waitMs) return true;
  }
  return false;
}
