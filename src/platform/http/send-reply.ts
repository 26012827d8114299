import type { Request, RequestHandler, Response } from 'express';
import { createEndBatch } from './end-batch';
import type { Reply, ReplyStream } from './endpoint';
import { endWith, type FlatHeaders, flatHeaders, setHeaders } from './response-head';

export interface CompressOptions {
  /** Middleware that compresses everything written after it. */
  readonly compress: RequestHandler;
  /** Smaller bodies are not compressed. */
  readonly compressFromBytes: number;
}

/** Rejects where the content of a stream could not be had. */
export type Sender = (req: Request, res: Response, reply: Reply) => Promise<void> | undefined;

/** Sends the reply of a handler. Cached bytes are sent as they are. */
export function createSender({ compress, compressFromBytes }: CompressOptions): Sender {
  const endSoon = createEndBatch();
  return (req, res, reply) => {
    if (reply.stream !== undefined) return sendStream(req, res, reply, reply.stream);
    const { status, headers, bytes } = partsOf(reply);
    if (bytes !== undefined && bytes.length >= compressFromBytes)
      compress(req, res, () => sendLarge(req, res, status, headers, bytes));
    else endWith(res, status, headers, reply.text ?? bytes?.toString('latin1'), endSoon);
    return undefined;
  };
}

/** Prepares a reply that is sent many times: its headers are validated and flattened once. */
export function ready(reply: Reply): Reply {
  const { headers, bytes } = partsOf(reply);
  return {
    ...reply,
    flat: headers,
    ...(bytes === undefined ? {} : { text: bytes.toString('latin1') }),
  };
}

interface Parts {
  readonly status: number;
  readonly headers: FlatHeaders;
  readonly bytes: Buffer | undefined;
}

function partsOf({ status, headers = {}, body, flat }: Reply): Parts {
  const bytes =
    body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  if (flat !== undefined) return { status, headers: flat, bytes };
  const list = flatHeaders(headers);
  if (bytes === undefined) {
    // Otherwise Node sends a chunked body: nothing would tell it from one that was cut off.
    if (status !== 204 && status !== 304) list.push('Content-Length', '0');
    return { status, headers: list, bytes };
  }
  if (headers['Content-Type'] === undefined) list.push('Content-Type', 'application/json');
  list.push('Content-Length', String(bytes.length));
  return { status, headers: list, bytes };
}

/** Sets the headers one by one, because the compression middleware changes them. */
function sendLarge(
  req: Request,
  res: Response,
  status: number,
  headers: FlatHeaders,
  bytes: Buffer,
): void {
  res.statusCode = status;
  setHeaders(res, headers);
  res.end(req.method === 'HEAD' ? undefined : bytes);
}

/** A client that does not read stops the source. HEAD has the headers only. */
async function sendStream(
  req: Request,
  res: Response,
  { status, headers = {} }: Reply,
  stream: ReplyStream,
): Promise<void> {
  const closed = new AbortController();
  res.once('close', () => closed.abort());
  // The client left while the request waited for its turn.
  if (res.destroyed) closed.abort();
  const texts = typeof stream === 'function' ? stream(closed.signal) : stream;
  const source = texts[Symbol.asyncIterator]();
  try {
    // Before the head, so that a failure of the first read is answered by a problem.
    let next = req.method === 'HEAD' ? undefined : await source.next();
    res.statusCode = status;
    setHeaders(res, flatHeaders(headers));
    while (next?.done === false && !res.destroyed) {
      if (!res.write(next.value)) await drained(res);
      next = await source.next();
    }
    res.end();
  } finally {
    await source.return?.();
  }
}

/** Resolves when more can be written, or the connection is closed. */
function drained(res: Response): Promise<void> {
  return new Promise((resolve) => {
    if (res.destroyed) return resolve();
    const done = () => {
      res.off('drain', done).off('close', done);
      resolve();
    };
    res.on('drain', done).on('close', done);
  });
}
