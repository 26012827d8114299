import { type ClosedSpec, runClosed } from './closed';
import { type OpenSpec, runOpen } from './open';
import type { Stripe } from './traffic';

export type LoadSpec = ClosedSpec | OpenSpec;

/** One load process: takes a spec by IPC, answers with its result, and waits for the next. */
const stripe = JSON.parse(process.argv[2] ?? '{"index":0,"count":1}') as Stripe;

process.on('message', (spec: LoadSpec) => {
  const work = spec.kind === 'closed' ? runClosed(spec, stripe) : runOpen(spec, stripe);
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
