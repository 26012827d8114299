import type { Response } from 'express';

declare global {
  namespace Express {
    interface Response {
      /** Its head and body are decided; it is ended before this turn of the event loop is over. */
      isAnswered?: true;
    }
  }
}

/** So many wait for each other at most: a turn that takes up a thousand requests answers the first of them long before the last. */
const BATCH_MAX = 64;

/**
 * Ends answers when the event loop has taken up every request at hand, all in a row: writes that follow each other find
 * who they are for awake already, and waking is the dearest part of a write to a process of the same host (5 % of a short
 * answer, docs/performance.md). No answer waits for anything but requests of its own turn.
 */
export function createEndBatch(): (res: Response) => void {
  let batch: Response[] = [];

  function endAll(): void {
    const ending = batch;
    batch = [];
    for (const res of ending) res.end();
  }

  return (res) => {
    res.isAnswered = true;
    const length = batch.push(res);
    if (length === 1) setImmediate(endAll);
    else if (length >= BATCH_MAX) endAll();
  };
}
