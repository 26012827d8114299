import type { Response } from 'express';

/** Ends a response after `writeHead`, with this body: one character for each byte (Latin-1). */
export type End = (res: Response, body: string | undefined) => void;

/**
 * A bound, so that the first response of a turn with a thousand requests is not sent long after it
 * was ready.
 */
const BATCH_MAX = 64;

/**
 * Ends the responses of one event-loop turn together, after the loop has read every request at
 * hand. Otherwise each write wakes its client, which then sends its next request alone: each turn
 * handles one request, and each pays for waking a process of the same host, the most expensive part
 * of a write (docs/adr/0009). A response waits only for requests of its own turn. Until it ends,
 * `headersSent` is true and `writableEnded` is false.
 */
export function createEndBatch(): End {
  let batch: { readonly res: Response; readonly body: string | undefined }[] = [];

  function endAll(): void {
    const ending = batch;
    batch = [];
    for (const { res, body } of ending) res.end(body, 'latin1');
  }

  return (res, body) => {
    const length = batch.push({ res, body });
    if (length === 1) setImmediate(endAll);
    else if (length >= BATCH_MAX) endAll();
  };
}
