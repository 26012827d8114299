import type { IncomingMessage, ServerResponse } from 'node:http';

/** Responses that had to wait behind others, by connection. */
const waiting = new WeakMap<object, Set<ServerResponse>>();

/**
 * Of a response that waits behind another one of its connection, Node emits no 'close' when the
 * connection closes. Code that frees resources at that event, or writes the access log, would never
 * run: this emits it. The first response of a connection, so nearly all, costs one comparison.
 */
export function closeWithConnection({ socket }: IncomingMessage, response: ServerResponse): void {
  if (response.socket !== null) return;
  let responses = waiting.get(socket);
  if (responses === undefined) {
    const opened = new Set<ServerResponse>();
    responses = opened;
    waiting.set(socket, opened);
    socket.once('close', () => {
      for (const one of opened) close(one, opened);
    });
  }
  responses.add(response);
  response.once('close', () => responses.delete(response));
}

function close(response: ServerResponse, opened: ReadonlySet<ServerResponse>): void {
  // Node does it for the one that has the socket, and for one that is sent.
  if (response.socket !== null || response.writableFinished) return;
  response.destroy();
  // Later versions of Node emit it by themselves, on the next tick.
  setImmediate(() => {
    if (opened.has(response)) response.emit('close');
  });
}
