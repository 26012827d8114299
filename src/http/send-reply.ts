import type { Request, RequestHandler, Response } from 'express';
import type { Reply } from './endpoint';
import { endWithBlock, headerLine, setLines } from './header-block';

export interface CompressOptions {
  /** Middleware that compresses what is written after it. */
  readonly compress: RequestHandler;
  /** Smaller bodies never meet it. */
  readonly compressFromBytes: number;
}

const JSON_LINE = headerLine('Content-Type', 'application/json');

/** Sends what a handler answered. Bytes from the cache go out as they are, in one piece with their head. */
export function createSender({ compress, compressFromBytes }: CompressOptions): (req: Request, res: Response, reply: Reply) => void {
  return (req, res, { status, body, headers }) => {
    let lines = '';
    for (const name in headers) lines += headerLine(name, headers[name] ?? '');
    if (body === undefined) {
      endWithBlock(res, status, { lines, length: undefined, body: '' });
      return;
    }
    if (headers?.['Content-Type'] === undefined) lines += JSON_LINE;
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    // As Latin-1 text each byte stays itself.
    if (bytes.length < compressFromBytes) endWithBlock(res, status, { lines, length: bytes.length, body: bytes.toString('latin1') });
    else compress(req, res, () => sendLarge(req, res, status, lines, bytes));
  };
}

/** Headers are set one by one, since whoever compresses has to change them. */
function sendLarge(req: Request, res: Response, status: number, lines: string, bytes: Buffer): void {
  res.statusCode = status;
  setLines(res, lines);
  res.setHeader('Content-Length', bytes.length);
  res.end(req.method === 'HEAD' ? undefined : bytes);
}
