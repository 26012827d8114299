import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy before a service that cuts answers: the service has done what it was asked. */
export interface CuttingProxy {
  readonly url: string;
  readonly answers: () => number;
  readonly cut: () => number;
  close(): Promise<void>;
}

/**
 * How an answer is lost: the connection ends before its first byte, or in the middle of its first
 * part; or the answer is swallowed and the connection stays open.
 */
export type Loss = 'before' | 'within' | 'silent';

/**
 * Loses every `every`th answer, in turn by the ways of `losses`. 0: none. `only`: counts the answers
 * to requests whose head fits alone.
 */
export async function startCuttingProxy(
  port: number,
  every: number,
  only = /^/,
  losses: readonly Loss[] = ['before', 'within'],
): Promise<CuttingProxy> {
  let answers = 0;
  let cut = 0;
  const pairs = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    let isAwaited = false;
    let isSilent = false;
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
      if (isSilent) return;
      if (isAwaited) {
        isAwaited = false;
        answers += 1;
        if (every > 0 && answers % every === 0) {
          const loss = losses[cut % losses.length];
          cut += 1;
          isSilent = loss === 'silent';
          if (isSilent) return;
          if (loss === 'within') near.write(chunk.subarray(0, chunk.length / 2));
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
