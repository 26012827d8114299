import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import type { Config } from '../config';
import type { Closable } from '../lifecycle';

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

/** The HTTP server of one worker. Its connections come from its own listener or, one by one, from the primary. */
export interface ApiServer extends Closable {
  readonly server: Server;
  listen(address: { host: string; port: number }): Promise<AddressInfo>;
  /** Instead of `listen`: connections will come through `accept`. */
  open(): void;
  /** Takes over a connection that another process accepted; false (and untouched) when this server takes none any more. */
  accept(socket: Socket): boolean;
  connections(): number;
  /** True from the moment this worker is to be left: readiness answers 503. */
  readonly leaving: boolean;
  leave(): void;
  /**
   * Accepts no more, answers every further request with `Connection: close`, and resolves when all connections are
   * gone: those in use after their answer, idle ones after `drainIdleMs`, what is left at `timeoutMs` by force.
   */
  drain(timeoutMs: number): Promise<{ readonly cut: number }>;
}

/** How often unfinished requests are checked against their timeouts: their resolution, in ms. */
const TIMEOUT_CHECK_MS = 1000;
const DRAIN_POLL_MS = 20;

export function createServer(
  app: RequestListener,
  limits: ServerLimits,
  constructors: ServerOptions<typeof IncomingMessage, typeof ServerResponse> = {},
): ApiServer {
  const server = createHttpServer(
    {
      ...constructors,
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      noDelay: true,
    },
    app,
  );
  server.maxConnections = limits.maxConnections;
  // Nothing else ends a connection whose client asks and never reads.
  server.timeout = limits.socketTimeoutMs;
  const sockets = new Set<Socket>();
  let leaving = false;
  let accepting = false;
  let draining: Promise<{ cut: number }> | undefined;

  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  /** Closing the listener must not close idle connections, as http.Server's own close() does: a request may be on its way there. */
  function stopAccepting(): void {
    accepting = false;
    if (server.listening) NetServer.prototype.close.call(server);
  }

  async function drain(timeoutMs: number): Promise<{ cut: number }> {
    leaving = true;
    stopAccepting();
    server.prependListener('request', (_request, response) => {
      response.setHeader('Connection', 'close');
    });
    const start = performance.now();
    for (;;) {
      const spentMs = performance.now() - start;
      if (spentMs >= Math.min(limits.drainIdleMs, timeoutMs / 2)) closeIdle();
      if (sockets.size === 0 || spentMs >= timeoutMs) break;
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
    const cut = sockets.size;
    for (const socket of sockets) socket.destroy();
    // Ends the server's own timer; its listener and connections are gone already.
    server.close(() => {});
    return { cut };
  }

  function closeIdle(): void {
    server.closeIdleConnections();
    // Opened ahead of need and never used: not idle in the server's eyes, but nobody waits there.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
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
      // The event is what starts Node's watch over unfinished requests (headersTimeout, requestTimeout).
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
