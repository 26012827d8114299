import { sha256 } from '../../../kernel/crypto/digest';
import { problems } from '../../../kernel/errors';
import { type ViewedFields, viewOf } from '../view';
import { type Cursors, flipped, type Position } from './cursor';
import type { ListPlan } from './query';
import { type ListRequest, sortOf } from './request';

export interface Page {
  /** JSON `{data, next_cursor, prev_cursor, has_more, total?, total_capped?}`. */
  readonly body: Buffer;
  /** Of the body's content. */
  readonly etag: string;
  readonly nextCursor: string | null;
  readonly prevCursor: string | null;
}

export type Row = ViewedFields & { readonly nameKey: string; readonly emailKey: string };

/** The limit, `fields` and `count` may change from page to page; the order and the filters not. */
export const cursorContext = (request: ListRequest): string =>
  JSON.stringify([sortOf(request), request.filters, request.points]);

/** Throws 400 for a cursor that this service did not give for this order and these filters. */
export function positionOf(cursors: Cursors, request: ListRequest): Position | undefined {
  if (request.cursor === undefined) return undefined;
  const position = cursors.decode(cursorContext(request), request.cursor);
  if (position !== undefined) return position;
  const message = 'must be a cursor of an earlier answer with the same sort and filters';
  throw problems.malformed(
    'invalid_cursor',
    'The cursor is not one that this service gave for this order and these filters.',
    { errors: [{ pointer: 'cursor', code: 'invalid_cursor', message }] },
  );
}

interface Positions {
  readonly next: Position | undefined;
  readonly prev: Position | undefined;
}

/**
 * The positions beside a page. `hasMore`: rows lie beyond the page, on the side to which it was
 * read. On the other side is the page that the cursor came from, whether or not rows are left
 * there.
 */
export function positionsBeside(
  at: Position | undefined,
  rows: readonly Position[],
  hasMore: boolean,
): Positions {
  const [first, last] = [rows[0], rows.at(-1)];
  const back = at === undefined ? undefined : flipped(at);
  const beforeFirst = first === undefined ? back : ({ ...first, side: 'before' } as const);
  const afterLast = last === undefined ? back : ({ ...last, side: 'after' } as const);
  if (at?.side === 'before') return { next: afterLast, prev: hasMore ? beforeFirst : undefined };
  return { next: hasMore ? afterLast : undefined, prev: back && beforeFirst };
}

/** The position of a row; its side is still to be said. */
export function positionAt(row: Row, field: ListPlan['field']): Position {
  const place = { side: 'after', isInclusive: false, id: row._id.toHexString() } as const;
  switch (field) {
    case 'name':
      return { ...place, value: row.nameKey };
    case 'email':
      return { ...place, value: row.emailKey };
    case 'created_at':
      return { ...place, value: row.createdAt.getTime() };
    case 'last_login_at':
      return { ...place, value: row.lastLoginAt?.getTime() ?? 0 };
    case 'id':
      return { ...place, value: 0 };
  }
}

export function viewWith(row: Row, fields: readonly string[] | undefined): object {
  const view = viewOf(row);
  if (fields === undefined) return view;
  return Object.fromEntries(
    Object.entries(view).filter(([name]) => name === 'id' || fields.includes(name)),
  );
}

export const toPage = (
  body: Buffer,
  nextCursor: string | null,
  prevCursor: string | null,
): Page => ({ body, nextCursor, prevCursor, etag: `"${sha256(body).slice(0, 27)}"` });

/** Two lines of cursors, then the body as it is. */
export const encodePage = ({ body, nextCursor, prevCursor }: Page): Buffer =>
  Buffer.concat([Buffer.from(`${nextCursor ?? ''}\n${prevCursor ?? ''}\n`), body]);

export function decodePage(bytes: Buffer): Page {
  const first = bytes.indexOf(10);
  const second = bytes.indexOf(10, first + 1);
  if (first < 0 || second < 0) throw new Error('a cached page without its lines of cursors');
  const line = (from: number, to: number) =>
    from === to ? null : bytes.toString('latin1', from, to);
  return toPage(bytes.subarray(second + 1), line(0, first), line(first + 1, second));
}
