import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy before a service that cuts answers: the service has done what it was asked. */
export interface CuttingProxy {
  readonly url: string;
  readonly answers: () => number;
  readonly cut: () => number;
  close(): Promise<void>;
}

/**
 * Cuts every `every`th answer: in turn before its first byte, and in the middle of its first part.
 * 0: none. `only`: counts the answers to requests whose head fits alone.
 */
export async function startCuttingProxy(
  port: number,
  every: number,
  only = /^/,
): Promise<CuttingProxy> {
  let answers = 0;
  let cut = 0;
  const pairs = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    let isAwaited = false;
    for (const socket of [near, far]) {
      pairs.add(socket);
      socket.setNoDelay(true).on('error', () => {});
      socket.once('close', () => pairs.delete(socket));
    }
    near.on('data', (chunk: Buffer) => {
      const [head = ''] = chunk.toString('latin1').split('\r\n', 1);
      // What continues a request has no head.
      if (/ HTTP\/1\.1$/.test(head)) isAwaited = only.test(head);
      far.write(chunk);
    });
    far.on('data', (chunk: Buffer) => {
      if (isAwaited) {
        isAwaited = false;
        answers += 1;
        if (every > 0 && answers % every === 0) {
          cut += 1;
          if (cut % 2 === 0) near.write(chunk.subarray(0, chunk.length / 2));
          near.destroySoon();
          far.destroy();
          return;
        }
      }
      near.write(chunk);
    });
    near.once('close', () => far.destroy());
    far.once('close', () => near.destroySoon());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const own = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${own}`,
    answers: () => answers,
    cut: () => cut,
    async close() {
      for (const socket of pairs) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
