import type { Request } from 'express';
import { problems } from '../errors';
import type { Reply } from './endpoint';
import { ready } from './send-reply';

const REV_TAG = /^"([0-9a-f]{24})\.(\d{1,15})"$/;

/** If-Match (RFC 9110 §13.1.1) as the revisions of `id` it allows; undefined where any will do. Any other tag matches nothing. */
export function ifMatchRevs(req: Request, id: string): readonly number[] | undefined {
  const header = req.headers['if-match'];
  if (header === undefined || header.trim() === '*') return undefined;
  const tags = header.split(',').map((tag) => tag.trim());
  if (tags.length > 20) throw problems.malformed('invalid_if_match', 'If-Match holds too many entity tags.');
  return tags.map((tag) => {
    const [, of, rev] = REV_TAG.exec(tag) ?? [];
    return of === id ? Number(rev) : -1;
  });
}

/** Whether If-None-Match (RFC 9110 §13.1.2, weak comparison) names this tag. */
export function notModified(req: Request, etag: string): boolean {
  const header = req.headers['if-none-match'];
  if (header === undefined) return false;
  if (header === etag || header === '*') return true;
  return header.includes(',') || header.startsWith('W/') ? header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag) : false;
}

const REPLIES = Symbol('replies');

/** Bytes and their tag, and the replies that were made of them: as long as the object is kept, so are they. */
export interface Representation {
  readonly etag: string;
  readonly body: Buffer;
  [REPLIES]?: { whole?: Reply; unchanged?: Reply };
}

/** 304 without a body, or 200 with the bytes as the cache holds them. */
export function conditionalReply(req: Request, of: Representation): Reply {
  of[REPLIES] ??= {};
  const replies = of[REPLIES];
  if (notModified(req, of.etag)) {
    replies.unchanged ??= ready({ status: 304, headers: headersOf(of) });
    return replies.unchanged;
  }
  replies.whole ??= ready({ status: 200, headers: headersOf(of), body: of.body });
  return replies.whole;
}

const headersOf = ({ etag }: Representation) => ({ ETag: etag, 'Cache-Control': 'private, no-cache' });
