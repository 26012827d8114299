import type { Secrets } from '../../../kernel/crypto/encryption';
import { problems } from '../../../kernel/errors';
import type { Cache, TypedCache } from '../../../platform/cache/port';
import { isHintRefused } from '../../../platform/mongo/errors';
import { LIST_GROUP } from '../cached';
import { USERS_COLLECTION, type UserModel } from '../model';
import { VIEW_PROJECTION } from '../view';
import { createCursors, type Position } from './cursor';
import {
  cursorContext,
  decodePage,
  encodePage,
  type Page,
  positionAt,
  positionOf,
  positionsBeside,
  type Row,
  toPage,
  viewWith,
} from './page';
import { COUNT_CAP, type ListParameters, type MetadataFilter } from './parameters';
import { type ListPlan, planOf } from './query';
import { type ListRequest, requestOf } from './request';

export interface UserList {
  page(parameters: ListParameters): Promise<Page>;
}

export interface UserListOptions {
  readonly timeoutMs: number;
  /** Of the deployment: cursors are signed under keys that are derived from them. */
  readonly secrets: Secrets;
  readonly metadata: readonly MetadataFilter[];
}

const PROJECTION = { ...VIEW_PROJECTION, nameKey: 1, emailKey: 1 } as const;
/** Metadata may be most of a document: it is read where the answer has it. */
function projectionOf(fields: readonly string[] | undefined): Readonly<Record<string, 1>> {
  if (fields === undefined) return PROJECTION;
  const { userMetadata, appMetadata, ...rest } = PROJECTION;
  return {
    ...rest,
    ...(fields.includes('user_metadata') ? { userMetadata } : {}),
    ...(fields.includes('app_metadata') ? { appMetadata } : {}),
  };
}

export function createUserList(
  users: UserModel,
  cache: Cache,
  { timeoutMs, secrets, metadata }: UserListOptions,
): UserList {
  const bounded = { maxTimeMS: timeoutMs };
  const cursors = createCursors(secrets);

  async function rowsOf(plan: ListPlan, request: ListRequest, position: Position | undefined) {
    const { limit } = request;
    const projection = projectionOf(request.fields);
    const roles = plan.needsRoles ? await rolesInUse(users, bounded) : [];
    const { filter, ...options } = plan.find(position, roles);
    const found = users.collection
      .find<Row>(filter, { ...bounded, ...options, limit: limit + 1, projection })
      .toArray();
    const rows = await byIndex(options.hint, found);
    const shown = rows.slice(0, limit);
    if (position?.side === 'before') shown.reverse();
    return { shown, hasMore: rows.length > limit };
  }

  async function load(request: ListRequest): Promise<Page> {
    const plan = planOf(request);
    const position = positionOf(cursors, request);
    const { shown, hasMore } = await rowsOf(plan, request, position);
    const places = shown.map((row) => positionAt(row, plan.field));
    const { next, prev } = positionsBeside(position, places, hasMore);
    const context = cursorContext(request);
    const cursorOf = (at: Position | undefined): string | null =>
      at === undefined ? null : cursors.encode(context, at);
    const [nextCursor, prevCursor] = [cursorOf(next), cursorOf(prev)];
    const content = {
      data: shown.map((row) => viewWith(row, request.fields)),
      next_cursor: nextCursor,
      prev_cursor: prevCursor,
      has_more: nextCursor !== null,
      ...(request.isCounted ? await count(plan) : {}),
    };
    return toPage(Buffer.from(JSON.stringify(content)), nextCursor, prevCursor);
  }

  async function count(plan: ListPlan): Promise<{ total: number; total_capped: boolean }> {
    const { filter, ...options } = plan.count;
    const limit = COUNT_CAP + 1;
    const counted = users.collection.countDocuments(filter, { ...bounded, ...options, limit });
    const found = await byIndex(options.hint, counted);
    return { total: Math.min(found, COUNT_CAP), total_capped: found > COUNT_CAP };
  }

  const pages: TypedCache<Page> = cache.define<Page>({
    name: 'list.v5',
    group: () => LIST_GROUP,
    load: (key) => load(JSON.parse(key) as ListRequest),
    encode: encodePage,
    decode: decodePage,
  });

  return {
    async page(parameters) {
      const request = requestOf(parameters, metadata);
      // Faults of the request are found before the cache is asked.
      planOf(request);
      positionOf(cursors, request);
      const page = await pages.get(JSON.stringify(request));
      if (page === null) throw new Error('a page of the list is never absent');
      return page;
    },
  };
}

/**
 * Roles that have left the setting ROLES too. One key of the index for each; `by_role_created` is
 * the first that begins with the role.
 */
const rolesInUse = (users: UserModel, bounded: { maxTimeMS: number }): Promise<string[]> =>
  users.collection.distinct('role', {}, bounded);

/** Only an operator can mend it: the log line says how. The database's message has the filter. */
async function byIndex<T>(index: string, read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (error) {
    if (!isHintRefused(error)) throw error;
    const fault = `the index ${USERS_COLLECTION}.${index} is missing, run npm run migrate -- up`;
    const detail = 'The database lacks an index that this query needs.';
    throw problems.unavailable('index_missing', detail, 60, new Error(fault));
  }
}
