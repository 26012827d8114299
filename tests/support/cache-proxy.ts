import { connect, createServer, type Socket } from 'node:net';

export interface Proxy {
  readonly port: number;
  /** How long each chunk is kept from now on; the order of bytes is kept. */
  delay(pick: () => number): void;
  /** Nothing passes while true; connections stay open, as they do when packets are dropped. */
  drop(on: boolean): void;
  /** Resets every connection. */
  reset(): void;
  close(): Promise<void>;
}

/** A TCP proxy to a server of this host that can be slow, silent or rude. */
export async function startProxy(target: number): Promise<Proxy> {
  let pick = (): number => 0;
  let dropping = false;
  const sockets = new Set<Socket>();

  function pipe(from: Socket, to: Socket): void {
    const queue: { readonly due: number; readonly chunk: Buffer }[] = [];
    let timer: NodeJS.Timeout | undefined;
    // One queue and one timer: timers of their own could fire in another order and exchange bytes.
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
      queue.push({ due: performance.now() + pick(), chunk });
      if (timer === undefined) drain();
    });
    from.on('close', () => to.destroy());
    from.on('error', () => to.destroy());
  }

  const server = createServer((socket) => {
    const upstream = connect(target, '127.0.0.1');
    socket.setNoDelay(true);
    upstream.setNoDelay(true);
    for (const one of [socket, upstream]) {
      sockets.add(one);
      one.on('close', () => sockets.delete(one));
    }
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
    reset() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
