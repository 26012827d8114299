import { runClosed } from './closed';
import { createOpenLoop } from './open';
import { SILENT, startRecorder, type Tick } from './recorder';
import { createSource } from './source';

/** The order for one load process. */
export interface LoadOrder {
  readonly url: string;
  readonly file: string;
  readonly stripe: { readonly index: number; readonly count: number };
  readonly seconds: number;
  readonly timeoutSeconds: number;
  readonly loop:
    | { readonly kind: 'closed'; readonly connections: number }
    | { readonly kind: 'open'; readonly rate: number; readonly maxConnections: number };
}

export type FromChild =
  | { readonly tick: Tick }
  | { readonly done: true }
  | { readonly ready: true }
  | { readonly error: string };

const send = (message: FromChild): void => void process.send?.(message);
let running: AbortController | undefined;

async function run({ url, file, stripe, seconds, timeoutSeconds, loop }: LoadOrder): Promise<void> {
  running = new AbortController();
  const { signal } = running;
  const next = createSource(file, new URL(url).host, stripe);
  let backlog = () => 0;
  const recorder = startRecorder(
    (tick) => send({ tick }),
    () => backlog(),
  );
  const common = { url, seconds, timeoutSeconds, next, recorder, signal };
  try {
    if (loop.kind === 'closed')
      return await runClosed({ ...common, connections: loop.connections });
    const open = createOpenLoop({ ...common, ...loop, seed: stripe.index });
    backlog = open.backlog;
    await open.run();
  } finally {
    recorder.close();
  }
}

// Ctrl-C reaches every process of the terminal: the parent decides.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());
process.on('message', (message: LoadOrder | 'stop' | typeof SILENT) => {
  if (message === 'stop' || message === SILENT) return running?.abort(message);
  run(message).then(
    () => send({ done: true }),
    (error: unknown) => send({ error: error instanceof Error ? (error.stack ?? '') : '' }),
  );
});
send({ ready: true });
