import type { Request, RequestHandler, Response } from 'express';
import type { Reply } from './endpoint';
import { writeHeaderBlock } from './header-block';

export interface CompressOptions {
  /** Middleware that compresses what is written after it. */
  readonly compress: RequestHandler;
  /** Smaller bodies never meet it. */
  readonly compressFromBytes: number;
}

const JSON_TYPE = 'application/json';

/** Sends what a handler answered. Bytes from the cache go out as they are, in one piece with their head. */
export function createSender({ compress, compressFromBytes }: CompressOptions): (req: Request, res: Response, reply: Reply) => void {
  return (req, res, { status, body, headers = {} }) => {
    const block: string[] = [];
    for (const name in headers) block.push(name, headers[name] ?? '');
    if (body === undefined) {
      writeHeaderBlock(res, status, block);
      res.end();
      return;
    }
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    if (headers['Content-Type'] === undefined) block.push('Content-Type', JSON_TYPE);
    block.push('Content-Length', String(bytes.length));
    if (bytes.length < compressFromBytes) sendSmall(req, res, status, block, bytes);
    else compress(req, res, () => sendLarge(req, res, status, block, bytes));
  };
}

function sendSmall(req: Request, res: Response, status: number, block: readonly string[], bytes: Buffer): void {
  writeHeaderBlock(res, status, block);
  // As Latin-1 text each byte stays itself, and Node joins text with the head into one write; a Buffer would be a second.
  if (req.method === 'HEAD') res.end();
  else res.end(bytes.toString('latin1'), 'latin1');
}

/** Set one by one, since whoever compresses has to change them. */
function sendLarge(req: Request, res: Response, status: number, block: readonly string[], bytes: Buffer): void {
  res.statusCode = status;
  for (let i = 0; i + 1 < block.length; i += 2) res.setHeader(block[i] as string, block[i + 1] as string);
  res.end(req.method === 'HEAD' ? undefined : bytes);
}
