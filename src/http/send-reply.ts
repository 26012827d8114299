import type { Request, RequestHandler, Response } from 'express';
import { createEndBatch } from './end-batch';
import type { Reply } from './endpoint';
import { type Block, endWithBlock, headerLine, setLines } from './header-block';

export interface CompressOptions {
  /** Middleware that compresses what is written after it. */
  readonly compress: RequestHandler;
  /** Smaller bodies never meet it. */
  readonly compressFromBytes: number;
}

const JSON_LINE = headerLine('Content-Type', 'application/json');

/** Sends what a handler answered. Bytes from the cache go out as they are, in one piece with their head. */
export function createSender({ compress, compressFromBytes }: CompressOptions): (req: Request, res: Response, reply: Reply) => void {
  const endSoon = createEndBatch();
  return (req, res, reply) => {
    const block = reply.block ?? blockOf(reply);
    const { length } = block;
    if (length === undefined || length < compressFromBytes) endWithBlock(res, reply.status, block, endSoon);
    else compress(req, res, () => sendLarge(req, res, reply.status, block));
  };
}

/** A reply to keep: what it is sent as is made here, once. */
export const ready = (reply: Reply): Reply => ({ ...reply, block: blockOf(reply) });

function blockOf({ headers, body }: Reply): Block {
  let lines = '';
  for (const name in headers) lines += headerLine(name, headers[name] ?? '');
  if (body === undefined) return { lines, length: undefined, body: '' };
  if (headers?.['Content-Type'] === undefined) lines += JSON_LINE;
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  // As Latin-1 text each byte stays itself.
  return { lines, length: bytes.length, body: bytes.toString('latin1') };
}

/** Headers are set one by one, since whoever compresses has to change them. */
function sendLarge(req: Request, res: Response, status: number, { lines, length, body }: Block): void {
  res.statusCode = status;
  setLines(res, lines);
  if (length !== undefined) res.setHeader('Content-Length', length);
  if (req.method === 'HEAD') res.end();
  else res.end(body, 'latin1');
}
