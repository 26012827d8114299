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

/** Of the first part of an answer, what its loss leaves. */
function passOn(chunk: Buffer, loss: Loss | undefined, near: Socket, far: Socket): void {
  if (loss === undefined) near.write(chunk);
  if (loss === 'within') near.write(chunk.subarray(0, chunk.length / 2));
  if (loss === undefined || loss === 'silent') return;
  near.destroySoon();
  far.destroy();
}

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
  /** Undefined: this answer is not lost. */
  function nextLoss(): Loss | undefined {
    answers += 1;
    if (every === 0 || answers % every !== 0) return undefined;
    cut += 1;
    return losses[(cut - 1) % losses.length];
  }
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
      const loss = isAwaited ? nextLoss() : undefined;
      isAwaited = false;
      isSilent = loss === 'silent';
      passOn(chunk, loss, near, far);
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
