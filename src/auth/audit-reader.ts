import { type Connection, Types } from 'mongoose';
import { z } from 'zod';
import { problems } from '../errors';
import { AUDIT_COLLECTION, type AuditRow, type AuditType } from './audit';

export interface AuditQuery {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly type?: AuditType | undefined;
  readonly subject?: string | undefined;
}

export interface AuditPage {
  readonly data: readonly Record<string, string | null>[];
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
  .meta({ description: '`next_cursor` of the page before.' });

/** Keyset paging over (time, id): each page is one range of an index. */
export function createAuditReader(connection: Connection, options: { timeoutMs: number }): AuditReader {
  const rows = () => connection.collection<AuditRow>(AUDIT_COLLECTION);
  return {
    async page({ limit = 50, cursor, type, subject }) {
      const found = await rows()
        .find(auditFilter({ type, subject }, cursor), { maxTimeMS: options.timeoutMs })
        .sort({ at: -1, _id: -1 })
        .limit(limit + 1)
        .toArray();
      const data = found.slice(0, limit);
      const last = data.at(-1);
      const more = found.length > limit && last !== undefined;
      return { data: data.map(viewOf), has_more: more, next_cursor: more ? auditCursorOf(last) : null };
    },
  };
}

/** Exported for the check of query plans. */
export function auditFilter({ type, subject }: Pick<AuditQuery, 'type' | 'subject'>, cursor?: string) {
  const filter = { ...(type === undefined ? {} : { type }), ...(subject === undefined ? {} : { subject }) };
  if (cursor === undefined) return filter;
  const { at, id } = decode(cursor);
  return { ...filter, at: { $lte: at }, $or: [{ at: { $lt: at } }, { _id: { $lt: id } }] };
}

export const auditCursorOf = ({ at, _id }: AuditRow) => Buffer.from(`${at.getTime()}.${_id.toHexString()}`).toString('base64url');

function decode(cursor: string): { at: Date; id: Types.ObjectId } {
  const [, ms, id] = /^(\d{1,15})\.([0-9a-f]{24})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (ms === undefined || id === undefined) {
    const errors = [{ pointer: 'cursor', code: 'wrong_format', message: 'must be a next_cursor of an earlier answer' }];
    throw problems.malformed('invalid_query', 'A query parameter is not valid.', { errors });
  }
  return { at: new Date(Number(ms)), id: new Types.ObjectId(id) };
}

const viewOf = (row: AuditRow) => ({
  id: row._id.toHexString(),
  at: row.at.toISOString(),
  type: row.type,
  result: row.result,
  reason: row.reason ?? null,
  actor: row.actor ?? null,
  subject: row.subject ?? null,
  session: row.session ?? null,
  network: row.network,
  user_agent: row.userAgent,
  request_id: row.requestId,
});
