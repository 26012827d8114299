import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A proxy between one service and its MongoDB that simulates faults of networks and machines.
 */
export interface MongoProxy {
  /** The URI of the same database through the proxy. */
  readonly uri: string;
  /** Refuses new connections and resets existing ones. */
  refuse(): void;
  /** Delays every chunk by this time, in each direction. */
  delay(ms: number): void;
  /**
   * Holds back the service's data from the first message with this command on, and forwards it at
   * `release`, even if the service has disconnected meanwhile.
   */
  holdFrom(command: string): void;
  /** The same, of the one connection that sends this message: all others go on. */
  holdConnectionOf(text: string): void;
  /** Passes a message with this command on, and drops every answer from then on, until `pass`. */
  loseAnswerOf(command: string): void;
  isHolding(): boolean;
  release(): void;
  /** Forwards without faults. */
  pass(): void;
  /** Open ones of clients. */
  connections(): number;
  close(): Promise<void>;
}

/**
 * `uri`: of one host, or with a Unix socket's encoded path, as the embedded engine has it. `at`:
 * its port; 0: a free one.
 */
export async function startMongoProxy(uri: string, at = 0): Promise<MongoProxy> {
  const [, host = ''] = /^mongodb:\/\/([^/?]+)/.exec(uri) ?? [];
  const path = decodeURIComponent(host);
  const [name, port = '27017'] = (host.split('@').pop() ?? '').split(':');
  const reach = () => (path.startsWith('/') ? connect(path) : connect(Number(port), name));
  let delayMs = 0;
  let isRefusing = false;
  let held: (() => void)[] | undefined;
  let awaited: string | undefined;
  let awaitedAlone: string | undefined;
  let heldAlone: (() => void)[] = [];
  let unanswered: string | undefined;
  let isLosing = false;
  const pairs = new Set<Socket>();

  const server: Server = createServer((near) => {
    if (isRefusing) {
      near.resetAndDestroy();
      return;
    }
    const far = reach();
    for (const socket of [near, far]) {
      pairs.add(socket);
      socket.setNoDelay(true).on('error', () => {});
      socket.once('close', () => pairs.delete(socket));
    }
    let isHeld = false;
    /** The data that is held back with this; undefined: it is not held back. */
    const heldWith = (chunk?: Buffer): (() => void)[] | undefined => {
      if (awaitedAlone !== undefined && chunk?.includes(awaitedAlone))
        [isHeld, awaitedAlone] = [true, undefined];
      if (awaited !== undefined && chunk?.includes(awaited)) [held, awaited] = [[], undefined];
      return isHeld ? heldAlone : held;
    };
    near.on('data', (chunk: Buffer) => {
      const send = () => far.write(chunk);
      isLosing ||= unanswered !== undefined && chunk.includes(unanswered);
      const waiting = heldWith(chunk);
      if (waiting !== undefined) waiting.push(send);
      else if (delayMs > 0) setTimeout(send, delayMs);
      else send();
    });
    far.on('data', (chunk: Buffer) => {
      if (isLosing) return;
      if (delayMs > 0) setTimeout(() => near.write(chunk), delayMs);
      else near.write(chunk);
    });
    // Data in transit arrives even after the sender has given up.
    near.once('close', () => {
      const end = () => far.end();
      const waiting = heldWith();
      if (waiting !== undefined) waiting.push(end);
      else setTimeout(end, delayMs);
    });
    far.once('close', () => near.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(at, '127.0.0.1', resolve);
  });
  const address = server.address();
  const own = typeof address === 'object' && address !== null ? address.port : 0;

  const proxy: MongoProxy = {
    uri: uri.replace(host, `127.0.0.1:${own}`),
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
    loseAnswerOf(command) {
      unanswered = command;
    },
    holdConnectionOf(text) {
      awaitedAlone = text;
    },
    isHolding: () => held !== undefined || heldAlone.length > 0,
    release() {
      const waiting = [...(held ?? []), ...heldAlone];
      heldAlone = [];
      held = undefined;
      awaited = undefined;
      for (const send of waiting) send();
    },
    pass() {
      isRefusing = false;
      unanswered = undefined;
      isLosing = false;
      delayMs = 0;
      proxy.release();
    },
    connections: () => pairs.size / 2,
    async close() {
      proxy.pass();
      for (const socket of pairs) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
