import { connect, createServer, type Socket } from 'node:net';
import { replyEnd } from './resp';

export interface Proxy {
  readonly port: number;
  /** Sets the delay of each chunk from now on; the byte order is preserved. */
  delay(pick: () => number): void;
  /** Nothing passes while true; connections stay open, as they do when packets are dropped. */
  drop(on: boolean): void;
  /**
   * Sends the next reply of the server twice on every connection: all later ones then answer the
   * wrong command.
   */
  repeatReply(): void;
  /** Resets every connection. */
  reset(): void;
  close(): Promise<void>;
}

/**
 * A TCP proxy to a local server (a port, or the path of a socket) that can delay, block, duplicate
 * or reset traffic.
 */
export async function startProxy(target: number | string): Promise<Proxy> {
  let pick = (): number => 0;
  let dropping = false;
  const sockets = new Set<Socket>();
  /** Connections whose next reply is sent twice. */
  const repeating = new Set<Socket>();

  function pipe(from: Socket, to: Socket): void {
    const queue: { readonly due: number; readonly chunk: Buffer }[] = [];
    let timer: NodeJS.Timeout | undefined;
    // One queue with one timer: separate timers could fire out of order and reorder bytes.
    function drain(): void {
      timer = undefined;
      for (let first = queue[0]; first !== undefined; first = queue[0]) {
        const wait = first.due - performance.now();
        if (wait > 0) {
          timer = setTimeout(drain, wait);
          return;
        }
        queue.shift();
        if (to.writable) to.write(first.chunk);
      }
    }
    from.on('data', (chunk) => {
      if (dropping) return;
      queue.push({
        due: performance.now() + pick(),
        chunk: repeating.delete(from) ? repeated(from, chunk) : chunk,
      });
      if (timer === undefined) drain();
    });
    from.on('close', () => to.destroy());
    from.on('error', () => to.destroy());
  }

  function repeated(from: Socket, chunk: Buffer): Buffer {
    const end = replyEnd(chunk, 0);
    // The chunk is not one whole reply: wait for the next chunk.
    if (end < 0) repeating.add(from);
    return end < 0 ? chunk : Buffer.concat([chunk.subarray(0, end), chunk]);
  }

  const upstreams = new Set<Socket>();
  const server = createServer((socket) => {
    const upstream = typeof target === 'number' ? connect(target, '127.0.0.1') : connect(target);
    socket.setNoDelay(true);
    upstream.setNoDelay(true);
    for (const one of [socket, upstream]) {
      sockets.add(one);
      one.on('close', () => sockets.delete(one));
    }
    upstreams.add(upstream);
    upstream.on('close', () => upstreams.delete(upstream));
    pipe(socket, upstream);
    pipe(upstream, socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();

  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    delay(next) {
      pick = next;
    },
    drop(on) {
      dropping = on;
    },
    repeatReply() {
      for (const upstream of upstreams) repeating.add(upstream);
    },
    reset() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
