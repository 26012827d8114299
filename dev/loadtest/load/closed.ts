import type { EventEmitter } from 'node:events';
import autocannon from 'autocannon';
import { type Recorder, SILENT } from './recorder';
import type { Outgoing, Source } from './source';

export interface ClosedOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly timeoutSeconds: number;
  readonly next: Source;
  readonly recorder: Recorder;
  readonly signal: AbortSignal;
}

type Client = EventEmitter & { getRequestBuffer: () => Buffer };

/**
 * Each connection sends its next request after the answer to the last. By autocannon, which is
 * handed finished bytes: building requests anew would make it slower than the service. It has no
 * public way for that (docs/adr/0017-public-interfaces.md).
 */
export async function runClosed(options: ClosedOptions): Promise<void> {
  const { url, connections, seconds, signal } = options;
  const lost: ((reason: string) => void)[] = [];
  const instance = autocannon({
    ...{ url, connections, duration: seconds, timeout: options.timeoutSeconds },
    setupClient: (client) => void lost.push(watch(client as unknown as Client, options)),
  });
  const stop = () => (instance as unknown as { stop(): void }).stop();
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  await instance;
  if (signal.reason === SILENT) for (const lose of lost) lose(SILENT);
}

/** Returns what ends the request that a connection waits for, if it does. */
function watch(client: Client, { next, recorder }: ClosedOptions): (reason: string) => void {
  let current: Outgoing | undefined;
  let sentMs = 0;
  let body = '';
  function lose(reason: string): void {
    if (current === undefined) return;
    recorder.failed(current.kind, reason);
    current.answered?.(undefined, '');
    current = undefined;
  }
  client.getRequestBuffer = () => {
    // autocannon sends the next request on a new connection when the server has ended this one.
    lose('connection lost');
    current = next();
    body = '';
    // Its own times are wrong after a lost connection.
    sentMs = performance.now();
    return current.bytes;
  };
  client.on('body', (chunk: Buffer) => {
    if (current?.answered !== undefined) body += chunk.toString('latin1');
  });
  client.on('response', (status: number) => {
    if (current === undefined) return;
    const { kind, answered } = current;
    current = undefined;
    recorder.answered(kind, status, performance.now() - sentMs);
    answered?.(status, body);
  });
  client.on('timeout', () => lose('timeout'));
  return lose;
}
