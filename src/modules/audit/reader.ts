import type { Connection } from 'mongoose';
import { z } from 'zod';
import { type FieldError, problems } from '../../kernel/errors';
import { decodeCursor, encodeCursor, rowsAfter } from '../../platform/mongo/keyset';
import type { AuditRow, AuditType } from './audit-event';
import { AUDIT_COLLECTION } from './collection';

/** The only order of the list, as its cursors name it. */
const ORDER = '-at';

/** Events per page, unless said. */
export const AUDIT_LIMIT = 50;

export interface AuditQuery {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly type?: AuditType | undefined;
  readonly subject?: string | undefined;
}

interface AuditPage {
  readonly data: readonly Record<string, string | number | null>[];
  readonly next_cursor: string | null;
  readonly has_more: boolean;
}

export interface AuditReader {
  page(query: AuditQuery): Promise<AuditPage>;
}

export const auditCursor = z
  .string()
  .max(64)
  .regex(/^[A-Za-z0-9_-]+$/, 'must be a next_cursor of an earlier answer')
  .meta({
    description: '`next_cursor` of the page before.',
    examples: ['MTc2OTg2MDgwMDAwMC42NTJm'],
  });

/** Keyset paging over (time, id): each page is one range of an index. */
export function createAuditReader(
  connection: Connection,
  options: { timeoutMs: number },
): AuditReader {
  const rows = () => connection.collection<AuditRow>(AUDIT_COLLECTION);
  return {
    async page({ limit = AUDIT_LIMIT, cursor, type, subject }) {
      const found = await rows()
        .find(auditFilter({ type, subject }, cursor), { maxTimeMS: options.timeoutMs })
        .sort({ at: -1, _id: -1 })
        .limit(limit + 1)
        .toArray();
      const data = found.slice(0, limit);
      const last = data.at(-1);
      const more = found.length > limit && last !== undefined;
      return {
        data: data.map(viewOf),
        has_more: more,
        next_cursor: more ? auditCursorOf(last) : null,
      };
    },
  };
}

/** Exported for the check of query plans. */
export function auditFilter(
  { type, subject }: Pick<AuditQuery, 'type' | 'subject'>,
  cursor?: string,
) {
  const filter: Record<string, unknown> = {
    ...(type === undefined ? {} : { type }),
    ...(subject === undefined ? {} : { subject }),
  };
  if (cursor === undefined) return filter;
  return Object.assign(filter, ...rowsAfter('at', -1, positionOf(cursor)));
}

export const auditCursorOf = ({ at, _id }: AuditRow) =>
  encodeCursor(ORDER, { value: at.getTime(), id: _id.toHexString() });

function positionOf(cursor: string): { readonly value: Date; readonly id: string } {
  const position = decodeCursor(cursor, ORDER, 'time');
  if (position === undefined) {
    const errors: FieldError[] = [
      {
        pointer: 'cursor',
        code: 'wrong_format',
        message: 'must be a next_cursor of an earlier answer',
      },
    ];
    throw problems.malformed('invalid_query', 'A query parameter is not valid.', { errors });
  }
  return { value: new Date(position.value), id: position.id };
}

const viewOf = (row: AuditRow) => ({
  id: row._id.toHexString(),
  at: row.at.toISOString(),
  type: row.type,
  result: row.result,
  reason: row.reason ?? null,
  note: row.note ?? null,
  actor: row.actor ?? null,
  subject: row.subject ?? null,
  session: row.session ?? null,
  impersonated: row.impersonated ?? null,
  token_id: row.tokenId ?? null,
  job: row.job ?? null,
  network: row.network,
  user_agent: row.userAgent,
  request_id: row.requestId,
  ...(row.count === undefined ? {} : { count: row.count }),
});
