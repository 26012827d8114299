import type { Request } from 'express';
import { type Problem, problems } from '../../kernel/errors';
import type { Reply } from './endpoint';
import { ready } from './send-reply';

/**
 * Id and revision, then which representation of it: a condition of a write is about the revision.
 */
const REV_TAG = /^"([0-9a-f]{24})\.(\d{1,15})(?:\.[0-9a-z.]{1,40})?"$/;
/** An entity tag and the separator after it (RFC 9110 §8.8.3, §5.6.1). A tag may contain commas. */
const NEXT_TAG = /[ \t]*(?:(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)/y;
const TAGS_MAX = 20;

interface Tag {
  readonly isWeak: boolean;
  /** Includes the quotes. */
  readonly opaque: string;
}

/** Returns `*` or the tags of the list. Throws 400 for anything else. */
function parseTags(header: string, name: 'If-Match' | 'If-None-Match'): '*' | readonly Tag[] {
  if (header.trim() === '*') return '*';
  const fault = (detail: string) =>
    problems.malformed(name === 'If-Match' ? 'invalid_if_match' : 'invalid_if_none_match', detail);
  const tags: Tag[] = [];
  NEXT_TAG.lastIndex = 0;
  while (NEXT_TAG.lastIndex < header.length) {
    const [, weak, opaque] =
      NEXT_TAG.exec(header) ??
      fail(fault(`${name} must be * or a list of entity tags in double quotes.`));
    if (opaque !== undefined) tags.push({ isWeak: weak !== undefined, opaque });
    if (tags.length > TAGS_MAX) throw fault(`${name} holds more than ${TAGS_MAX} entity tags.`);
  }
  if (tags.length === 0) throw fault(`${name} holds no entity tag.`);
  return tags;
}

function fail(problem: Problem): never {
  throw problem;
}

/** Throws 412 when the revision of the resource does not meet the condition. */
export type Precondition = (rev: number) => void;

/**
 * The condition of If-Match (RFC 9110 §13.1.1) and If-None-Match (§13.1.2) for a change of `id`;
 * undefined without either header. A well-formed tag of another resource matches nothing. A weak
 * tag in If-Match can never match: the client gets 400, because 412 would tell it that the resource
 * has changed.
 */
export function preconditionOf(req: Request, id: string): Precondition | undefined {
  const wanted = tagsOf(req, 'If-Match');
  const unwanted = tagsOf(req, 'If-None-Match');
  if (wanted === undefined && unwanted === undefined) return undefined;
  if (wanted !== undefined && wanted !== '*' && wanted.some(({ isWeak }) => isWeak)) {
    throw problems.malformed(
      'invalid_if_match',
      'If-Match compares strongly: a weak entity tag (W/"…") never matches.',
    );
  }
  const matches = (tags: '*' | readonly Tag[], rev: number) =>
    tags === '*' || tags.some((tag) => revOf(tag, id) === rev);
  return (rev) => {
    if (wanted !== undefined && !matches(wanted, rev)) throw problems.preconditionFailed();
    if (unwanted !== undefined && matches(unwanted, rev))
      throw problems.preconditionFailed('The resource has an entity tag that If-None-Match lists.');
  };
}

function tagsOf(
  req: Request,
  name: 'If-Match' | 'If-None-Match',
): '*' | readonly Tag[] | undefined {
  const header = req.headers[name === 'If-Match' ? 'if-match' : 'if-none-match'];
  return header === undefined ? undefined : parseTags(header, name);
}

function revOf({ opaque }: Tag, id: string): number | undefined {
  const [, of, rev] = REV_TAG.exec(opaque) ?? [];
  return of === id ? Number(rev) : undefined;
}

/**
 * Whether If-None-Match contains this tag (RFC 9110 §13.1.2, weak comparison). A read ignores a
 * malformed header.
 */
export function notModified(req: Request, etag: string): boolean {
  const header = req.headers['if-none-match'];
  if (header === undefined) return false;
  return header === etag || namesTag(header, etag);
}

function namesTag(header: string, etag: string): boolean {
  const opaque = etag.replace(/^W\//, '');
  try {
    const tags = parseTags(header, 'If-None-Match');
    return tags === '*' || tags.some((tag) => tag.opaque === opaque);
  } catch {
    return false;
  }
}

/** A symbol: JSON.stringify and a copy of the named fields leave it out. */
const REPLIES = Symbol('replies');

/** Bytes and their entity tag. The replies made from them are kept with them. */
export interface Representation {
  readonly etag: string;
  readonly body: Buffer;
  [REPLIES]?: { whole?: Reply; unchanged?: Reply };
}

/** 304 without a body, or 200 with the cached bytes. */
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

const headersOf = ({ etag }: Representation) => ({
  ETag: etag,
  'Cache-Control': 'private, no-cache',
});
