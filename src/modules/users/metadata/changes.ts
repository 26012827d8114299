import { isDeepStrictEqual } from 'node:util';
import { type FieldError, Problem, problems } from '../../../kernel/errors';
import type { Actor } from '../../../kernel/permissions';
import type { MetadataChanges } from '../changes';
import type { JsonObject, UserDocument } from '../model';
import { readsPrivate } from '../rules';
import type { IndexedPath } from './indexed';
import { bytesOf, isObject, METADATA_MAX_BYTES, tooLarge } from './json';
import { mergePatch } from './merge-patch';

export const METADATA_FIELDS = {
  user_metadata: 'userMetadata',
  app_metadata: 'appMetadata',
  private_metadata: 'privateMetadata',
} as const;
type Kind = keyof typeof METADATA_FIELDS;
export type Member = Kind | 'external_id';

/** The members that a body changes. */
export type WantedMetadata = { readonly [K in Kind]?: JsonObject | null | undefined } & {
  readonly external_id?: string | null | undefined;
};

type Stored = Pick<UserDocument, 'userMetadata' | 'appMetadata' | 'privateMetadata' | 'externalId'>;

export interface MetadataWrite {
  readonly actor: Actor;
  /** The user that is written; undefined: a new one. */
  readonly id: string | undefined;
  /** `merge`: RFC 7396. */
  readonly how: 'merge' | 'replace';
  readonly indexed: readonly IndexedPath[];
}

/** Whether the actor, who may change the user, may write this member of it. */
function mayWrite(actor: Actor, id: string | undefined, member: Member): boolean {
  if (member === 'user_metadata') return true;
  if (!actor.permissions.has('users:write')) return false;
  return member !== 'private_metadata' || readsPrivate(actor, id ?? '');
}

const memberForbidden = (member: Member) =>
  new Problem(403, 'member_write_forbidden', 'Forbidden', {
    detail: `You may not write ${member} of this account.`,
  });

/**
 * The changes that a body makes to the user that was read. Throws 403 for a member that the actor
 * may not write, unless the value is the present one and the actor can see it; 422 for a result
 * that cannot be stored.
 */
export function metadataChanges(
  seen: Stored,
  wanted: WantedMetadata,
  write: MetadataWrite,
): MetadataChanges {
  const changes: { -readonly [K in keyof MetadataChanges]: MetadataChanges[K] } = {};
  const errors: FieldError[] = [];
  for (const member of Object.keys(METADATA_FIELDS) as Kind[]) {
    const given = wanted[member];
    if (given === undefined) continue;
    const field = METADATA_FIELDS[member];
    const before = seen[field] ?? {};
    const after = resultOf(before, given, write.how);
    const isSame = isDeepStrictEqual(before, after);
    assertMayWrite(write, member, isSame);
    if (isSame) continue;
    errors.push(...sizeErrors(member, after), ...indexErrors(member, before, after, write.indexed));
    changes[field] = Object.keys(after).length === 0 ? null : after;
  }
  if (errors.length > 0) throw problems.invalid(errors);
  const { external_id: externalId } = wanted;
  if (externalId === undefined) return changes;
  assertMayWrite(write, 'external_id', externalId === (seen.externalId ?? null));
  return { ...changes, externalId };
}

function resultOf(
  before: JsonObject,
  given: JsonObject | null,
  how: MetadataWrite['how'],
): JsonObject {
  if (given === null) return {};
  return how === 'merge' ? mergePatch(before, given) : given;
}

/** The members that a change writes, but for those that the user itself writes as it likes. */
export const auditedMembers = (
  changes: MetadataChanges & { readonly name?: string | undefined },
  seen: Stored & Pick<UserDocument, 'name'>,
  isOwn: boolean,
): (Member | 'name')[] => [
  ...(isOwn || changes.name === undefined || changes.name === seen.name ? [] : (['name'] as const)),
  ...(Object.keys(METADATA_FIELDS) as Kind[]).filter(
    (member) =>
      changes[METADATA_FIELDS[member]] !== undefined && !(isOwn && member === 'user_metadata'),
  ),
  ...((changes.externalId ?? undefined) === seen.externalId || changes.externalId === undefined
    ? []
    : (['external_id'] as const)),
];

function assertMayWrite({ actor, id }: MetadataWrite, member: Member, isSame: boolean): void {
  if (mayWrite(actor, id, member)) return;
  // To be told whether a guess is right would be to read.
  if (!isSame || member === 'private_metadata') throw memberForbidden(member);
}

const sizeErrors = (member: Kind, after: JsonObject): FieldError[] =>
  bytesOf(after) > METADATA_MAX_BYTES ? [{ pointer: `/${member}`, ...tooLarge }] : [];

const INDEXED_MAX_CHARS = 200;

/** Of indexed members that get another value: one that a query can name. */
const indexErrors = (
  member: Kind,
  before: JsonObject,
  after: JsonObject,
  indexed: readonly IndexedPath[],
): FieldError[] =>
  indexed
    .filter((path) => path.member === member)
    .filter(({ keys }) => {
      const value = at(after, keys);
      return !isIndexable(value) && !isDeepStrictEqual(value, at(before, keys));
    })
    .map(({ keys }) => ({
      pointer: `/${[member, ...keys].join('/')}`,
      code: 'metadata_not_indexable',
      message: `must be a string of at most ${INDEXED_MAX_CHARS} characters, a number, true or false`,
      params: { max: INDEXED_MAX_CHARS },
    }));

/** An array on the way is the value: the index would go through its items. */
function at(metadata: JsonObject, keys: readonly string[]): unknown {
  let value: unknown = metadata;
  for (const key of keys) {
    if (Array.isArray(value)) return value;
    value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }
  return value;
}

const isIndexable = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  ['number', 'boolean'].includes(typeof value) ||
  (typeof value === 'string' && [...value].length <= INDEXED_MAX_CHARS);
