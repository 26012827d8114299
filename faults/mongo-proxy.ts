import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between one service and its MongoDB and does to the connection what networks and machines do. */
export interface MongoProxy {
  /** A URI of the same database, through here. */
  readonly uri: string;
  /** Connections are refused, those that stand are reset. */
  refuse(): void;
  /** Every chunk waits for this long, in each direction. */
  delay(ms: number): void;
  /**
   * From the first message with this command on, what the service sends is held back, and sent on at `release`, even
   * when the service has gone away meanwhile.
   */
  holdFrom(command: string): void;
  isHolding(): boolean;
  release(): void;
  /** As if it were not there. */
  pass(): void;
  close(): Promise<void>;
}

/** `uri`: with a Unix socket's encoded path as its host, as the embedded engine has it. */
export async function startMongoProxy(uri: string): Promise<MongoProxy> {
  const [, host = ''] = /^mongodb:\/\/([^/?]+)/.exec(uri) ?? [];
  const path = decodeURIComponent(host);
  let delayMs = 0;
  let isRefusing = false;
  let held: (() => void)[] | undefined;
  let awaited: string | undefined;
  const pairs = new Set<Socket>();

  const server: Server = createServer((near) => {
    if (isRefusing) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(path);
    for (const socket of [near, far]) {
      pairs.add(socket);
      socket.setNoDelay(true).on('error', () => {});
      socket.once('close', () => pairs.delete(socket));
    }
    near.on('data', (chunk: Buffer) => {
      const send = () => far.write(chunk);
      if (awaited !== undefined && chunk.includes(awaited)) [held, awaited] = [[], undefined];
      if (held !== undefined) held.push(send);
      else if (delayMs > 0) setTimeout(send, delayMs);
      else send();
    });
    far.on('data', (chunk: Buffer) => {
      if (delayMs > 0) setTimeout(() => near.write(chunk), delayMs);
      else near.write(chunk);
    });
    // What the network still carries arrives although the sender has given up.
    near.once('close', () => {
      const end = () => far.end();
      if (held !== undefined) held.push(end);
      else setTimeout(end, delayMs);
    });
    far.once('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;

  const proxy: MongoProxy = {
    uri: uri.replace(host, `127.0.0.1:${port}`),
    refuse() {
      isRefusing = true;
      for (const socket of pairs) socket.destroy();
    },
    delay(ms) {
      delayMs = ms;
    },
    holdFrom(command) {
      awaited = command;
    },
    isHolding: () => held !== undefined,
    release() {
      const waiting = held ?? [];
      held = undefined;
      awaited = undefined;
      for (const send of waiting) send();
    },
    pass() {
      isRefusing = false;
      delayMs = 0;
      proxy.release();
    },
    async close() {
      proxy.pass();
      for (const socket of pairs) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
