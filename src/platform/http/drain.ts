import type { Server } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { type ConnectionUse, closeAfterAnswers, isAnyInUse } from './connection-use';

const POLL_MS = 20;

/**
 * Stops accepting and closes all connections: busy ones after their response, idle ones after
 * `idleMs`, the rest by force after `timeoutMs`.
 */
export async function drainConnections(
  server: Server,
  sockets: ReadonlyMap<Socket, ConnectionUse>,
  { idleMs, timeoutMs }: { idleMs: number; timeoutMs: number },
): Promise<{ cut: number }> {
  // Closes the listener only. http.Server's close() would also close idle connections, where a
  // request may be on its way.
  if (server.listening) NetServer.prototype.close.call(server);
  closeAfterAnswers(sockets);
  const start = performance.now();
  for (;;) {
    const spentMs = performance.now() - start;
    if (spentMs >= Math.min(idleMs, timeoutMs / 2) && !isAnyInUse(sockets, timeoutMs / 2))
      closeIdle(server, sockets);
    if (sockets.size === 0 || spentMs >= timeoutMs) break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    // setImmediate runs after the sockets have been read, so a request that waited for a busy
    // event loop is seen.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const cut = sockets.size;
  for (const socket of sockets.keys()) socket.destroy();
  // Stops the server's timer; the listener and the connections are closed already.
  server.close(() => {});
  return { cut };
}

/**
 * A client may be sending a request at this moment, and would lose it: the later the close, the
 * fewer requests are lost.
 */
function closeIdle(server: Server, sockets: ReadonlyMap<Socket, ConnectionUse>): void {
  server.closeIdleConnections();
  // Node does not count unused connections as idle.
  for (const socket of sockets.keys()) if (socket.bytesRead === 0) socket.destroy();
}
