import { setPriority } from 'node:os';
import { type ClosedSpec, runClosed } from './closed';
import { type OpenSpec, runOpen } from './open';
import type { Stripe } from './traffic';

export type LoadSpec = ClosedSpec | OpenSpec;

/** One load process: takes a spec by IPC, answers with its result, and waits for the next. */
const stripe = JSON.parse(process.argv[2] ?? '{"index":0,"count":1}') as Stripe;

const TIMELY_NICENESS = -10;

/**
 * Clients are other machines. Where the load shares a core with the stores, its own wait for that
 * core would count as latency of the service. An open load is a small one: it takes little from
 * them. Without the right to it (CAP_SYS_NICE) the load waits as before.
 */
async function timely<T>(work: () => Promise<T>): Promise<T> {
  const set = (niceness: number) => {
    try {
      setPriority(niceness);
    } catch {
      // The figure "sent late" says what that costs.
    }
  };
  set(TIMELY_NICENESS);
  try {
    return await work();
  } finally {
    set(0);
  }
}

process.on('message', (spec: LoadSpec) => {
  const work =
    spec.kind === 'closed' ? runClosed(spec, stripe) : timely(() => runOpen(spec, stripe));
  work.then(
    (result) => process.send?.({ result }),
    (error: unknown) =>
      process.send?.({
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.({ result: 'ready' });
