import { ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http';
import type { Express as App, Response } from 'express';

declare global {
  namespace Express {
    interface Response {
      /** Header lines (see `headerLine`) to go out with the head; undefined once they have. */
      pendingHeaders?: string | undefined;
    }
  }
}

/** Node writes these itself, by what it is told of them: hidden in a block they would be there twice. */
const NODES_OWN = new Set(['connection', 'content-length', 'date', 'expect', 'keep-alive', 'trailer', 'transfer-encoding']);
const LINE_END = '\r\n';

/** One line of a block. Throws on what is no header, or none for a block. */
export function headerLine(name: string, value: string): string {
  validateHeaderName(name);
  validateHeaderValue(name, value);
  if (NODES_OWN.has(name.toLowerCase())) throw new Error(`the header ${name} is no part of a block`);
  return `${name}: ${value}${LINE_END}`;
}

/**
 * Headers that every answer carries cost most when set one by one: each is checked, lower-cased and stored, only to be
 * written out a moment later. Middleware leaves them here instead, as finished lines, and `endWithBlock` puts them into the
 * head as they are: a tenth of the processor time of a short answer (docs/performance.md).
 *
 * Whoever answers in another way loses nothing: any `writeHead`, also Node's own before the first byte, adds what is
 * pending. A header of the same name that was set on the response wins, except that lists grow (RateLimit).
 */
export function installHeaderBlock(app: App): void {
  const { writeHead } = app.response;
  function writeHeadWithPending(this: Response, ...args: Parameters<Response['writeHead']>): Response {
    if (this.pendingHeaders !== undefined) setPending(this);
    return writeHead.apply(this, args) as Response;
  }
  Object.defineProperty(app.response, 'writeHead', { value: writeHeadWithPending, writable: true, configurable: true });
}

/** `lines` must come from `headerLine`, or be as good: nothing checks them again. */
export function addPending(res: Response, lines: string): void {
  res.pendingHeaders = res.pendingHeaders === undefined ? lines : res.pendingHeaders + lines;
}

export interface Block {
  /** From `headerLine`. */
  readonly lines: string;
  /** Content-Length; undefined for an answer that has no content. */
  readonly length: number | undefined;
  /** One character for each byte. Not sent in answer to HEAD. */
  readonly body: string;
}

/** What Node keeps the text of the head in until it is sent: null, then a string that ends with an empty line. */
type WithHeader = Response & { _header: string | null };
const { end: nodesEnd } = ServerResponse.prototype;

const endNow = (res: Response): void => {
  res.end();
};

/** Sends an answer, all of it in one write, for which `end` may choose the moment. */
export function endWithBlock(res: Response, status: number, { lines, length, body }: Block, end = endNow): void {
  const { _header } = res as WithHeader;
  // What was set on the response must be merged with, and whoever has taken `end` over wants to see the body.
  if (_header !== null || res.end !== nodesEnd || res.getHeaderNames().length > 0) {
    setLines(res, lines);
    if (length !== undefined) res.setHeader('Content-Length', length);
    res.writeHead(status);
    res.end(body, 'latin1');
    return;
  }
  const block = (res.pendingHeaders ?? '') + lines;
  res.pendingHeaders = undefined;
  res.writeHead(status, length === undefined ? [] : ['Content-Length', String(length)]);
  const head = (res as WithHeader)._header as string;
  const afterStatus = head.indexOf(LINE_END) + LINE_END.length;
  // A body that is given to `end` would be a second piece, and two pieces take Node 20 the dearer writev (6 % of an answer).
  (res as WithHeader)._header = head.slice(0, afterStatus) + block + head.slice(afterStatus) + (res.req.method === 'HEAD' ? '' : body);
  end(res);
}

const LISTS = new Set(['RateLimit', 'RateLimit-Policy']);

function setPending(res: Response): void {
  const pending = res.pendingHeaders ?? '';
  res.pendingHeaders = undefined;
  for (const [name, value] of pairs(pending)) {
    const present = res.getHeader(name);
    if (present === undefined) res.setHeader(name, value);
    else if (LISTS.has(name)) res.setHeader(name, [value].concat(present as string | string[]));
  }
}

/** For an answer that somebody has yet to change. */
export function setLines(res: Response, lines: string): void {
  for (const [name, value] of pairs(lines)) res.setHeader(name, value);
}

function pairs(lines: string): (readonly [name: string, value: string])[] {
  return lines
    .split(LINE_END)
    .slice(0, -1)
    .map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 2)] as const;
    });
}
