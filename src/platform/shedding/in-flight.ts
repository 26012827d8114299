import type { IncomingMessage, ServerResponse } from 'node:http';

/** Counts the requests in flight, in all and by connection. */
export interface InFlight {
  track(request: IncomingMessage, response: ServerResponse): void;
  count(): number;
  countOf(socket: object): number;
}

export function createInFlight(): InFlight {
  let inFlight = 0;
  const bySocket = new WeakMap<object, { count: number }>();

  return {
    /**
     * A pipelined response that is not yet at the front has no socket, and emits no 'close' when
     * the connection closes. So the close of the connection ends every request that is left.
     */
    track({ socket }, response) {
      let slot = bySocket.get(socket);
      if (slot === undefined) {
        const opened = { count: 0 };
        slot = opened;
        bySocket.set(socket, opened);
        socket.once('close', () => {
          inFlight -= opened.count;
          opened.count = 0;
        });
      }
      slot.count++;
      inFlight++;
      response.once('close', () => {
        if (slot.count === 0) return;
        slot.count--;
        inFlight--;
      });
    },
    count: () => inFlight,
    countOf: (socket) => bySocket.get(socket)?.count ?? 0,
  };
}
