import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Config } from '../../kernel/config/config';
import type { Closable } from '../../kernel/lifecycle';
import { type ConnectionUse, newUse, recordUse, trackBody, trackPending } from './connection-use';
import { drainConnections } from './drain';
import { createEarlyAnswers, type EarlyAnswers } from './early-answers';
import { answerParserErrors } from './parser-errors';
import { withRoutableTargets } from './target';

export type ServerLimits = Pick<
  Config['server'],
  | 'headersTimeoutMs'
  | 'requestTimeoutMs'
  | 'socketTimeoutMs'
  | 'keepAliveTimeoutMs'
  | 'maxHeaderBytes'
  | 'maxConnections'
  | 'drainTimeoutMs'
  | 'drainIdleMs'
>;

/**
 * The HTTP server of one worker. Its connections come from its own listener, or from the primary
 * one by one.
 */
export interface ApiServer extends Closable {
  readonly server: Server;
  listen(address: { host: string; port: number }): Promise<AddressInfo>;
  /** Instead of `listen`, for connections that come through `accept`. */
  open(): void;
  /**
   * Takes over a connection that another process accepted. Returns false, and leaves the connection
   * unchanged, when this server accepts none any more.
   */
  accept(socket: Socket): boolean;
  connections(): number;
  /** True once this worker begins to stop: readiness answers 503. */
  readonly leaving: boolean;
  leave(): void;
  /**
   * Stops accepting, sends `Connection: close` with every response from now on, and resolves when
   * all connections are closed: busy ones after their response, idle ones after `drainIdleMs`
   * (connections in steady use get time for one more request), the rest by force after `timeoutMs`.
   */
  drain(timeoutMs: number): Promise<{ readonly cut: number }>;
}

/** Interval, in ms, of the check of unfinished requests against their timeouts. */
const TIMEOUT_CHECK_MS = 1000;

export function createServer(
  app: RequestListener,
  limits: ServerLimits,
  constructors: ServerOptions<typeof IncomingMessage, typeof ServerResponse> = {},
  early: Pick<EarlyAnswers, 'answer' | 'refuse'> = createEarlyAnswers(),
  isWaiting: (socket: object) => boolean = () => false,
): ApiServer {
  const serve = withRoutableTargets(app);
  const server = createHttpServer(
    { ...constructors, ...nodeOptions(limits) },
    (request, response) => {
      if (draining !== undefined) response.setHeader('Connection', 'close');
      const use = recordUse(sockets, request.socket);
      serve(request, response);
      // A response that was sent within the call is not referenced: it stays in the young
      // generation.
      if (use === undefined) return;
      trackBody(use, request);
      if (!response.headersSent) trackPending(use, response);
    },
  );
  server.maxConnections = limits.maxConnections;
  // The only limit for a client that sends requests and never reads.
  server.timeout = limits.socketTimeoutMs;
  const sockets = new Map<Socket, ConnectionUse>();
  answerParserErrors(server, {
    early,
    useOf: (socket) => sockets.get(socket),
    isWaiting,
  });
  let leaving = false;
  let accepting = false;
  let draining: Promise<{ cut: number }> | undefined;

  server.on('connection', (socket: Socket) => {
    sockets.set(socket, newUse());
    socket.once('close', () => sockets.delete(socket));
  });

  function drain(timeoutMs: number): Promise<{ cut: number }> {
    leaving = true;
    accepting = false;
    return drainConnections(server, sockets, { idleMs: limits.drainIdleMs, timeoutMs });
  }

  const api: ApiServer = {
    server,
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port, backlog: 2048 }, () => {
          server.removeListener('error', reject);
          accepting = true;
          resolve(server.address() as AddressInfo);
        });
      }),
    open() {
      // This event starts Node's checks of headersTimeout and requestTimeout.
      server.emit('listening');
      accepting = true;
    },
    accept(socket) {
      if (!accepting) return false;
      if (sockets.size >= limits.maxConnections) {
        socket.destroy();
        return true;
      }
      socket.allowHalfOpen = true;
      socket.setNoDelay(true);
      server.emit('connection', socket);
      return true;
    },
    connections: () => sockets.size,
    get leaving() {
      return leaving;
    },
    leave() {
      leaving = true;
    },
    drain: (timeoutMs) => (draining ??= drain(timeoutMs)),
    async close() {
      const { cut } = await api.drain(limits.drainTimeoutMs);
      if (cut > 0) throw new Error(`${cut} connections were cut off at the end of the drain`);
    },
  };
  return api;
}

const nodeOptions = (limits: ServerLimits): ServerOptions => ({
  maxHeaderSize: limits.maxHeaderBytes,
  headersTimeout: limits.headersTimeoutMs,
  requestTimeout: limits.requestTimeoutMs,
  keepAliveTimeout: limits.keepAliveTimeoutMs,
  connectionsCheckingInterval: TIMEOUT_CHECK_MS,
  noDelay: true,
  // Admission checks the Host header, so that the response is a problem like all others.
  requireHostHeader: false,
});
