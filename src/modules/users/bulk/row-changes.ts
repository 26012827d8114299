import { foldEmail } from '../../../kernel/fold';
import { type Actor, ALL_PERMISSIONS } from '../../../kernel/permissions';
import { isBanOver } from '../bans';
import type { Changes, MetadataChanges } from '../changes';
import { METADATA_FIELDS, metadataChanges } from '../metadata/changes';
import type { IndexedPath } from '../metadata/indexed';
import { isOwn } from './own-account';
import { membersOf, type TakenRow } from './rows';
import type { Seen } from './seen';

interface Context {
  readonly actor: Actor;
  readonly indexed: readonly IndexedPath[];
  /** The database's time. */
  readonly now: Date;
}

/** An actor that may import users may write the metadata of others. */
const IMPORTER: Actor = { userId: 'import', permissions: ALL_PERMISSIONS };

export function metadataOf(
  seen: Pick<Partial<Seen>, 'userMetadata' | 'appMetadata' | 'privateMetadata' | 'externalId'>,
  { metadata }: TakenRow,
  { indexed }: Pick<Context, 'indexed'>,
  /** The requester, whose own account it is. */
  own?: Actor,
): MetadataChanges {
  // By their JSON: the objects of a thread are not of this realm where a test runs in one.
  const wanted = Object.entries(metadata).filter(([member, value]) => {
    const stored = member === 'external_id' ? undefined : (seen[fieldOf(member)] ?? {});
    // Nobody tells the own user whether a guess of these is right.
    const isHidden = own !== undefined && member === 'private_metadata';
    return isHidden || JSON.stringify(value) !== JSON.stringify(stored);
  });
  const { userId } = own ?? {};
  const write = { actor: own ?? IMPORTER, id: userId, how: 'replace', indexed } as const;
  return metadataChanges(seen as Seen, Object.fromEntries(wanted), write);
}

const fieldOf = (member: string) => METADATA_FIELDS[member as keyof typeof METADATA_FIELDS];

/** A ban that was over before its row came to be stored is none. */
export function withoutOldBan(row: TakenRow, now: Date): TakenRow {
  const { status = 'active', bannedUntil } = row;
  if (!isBanOver({ status, bannedUntil: bannedUntil ?? undefined }, now)) return row;
  const { bannedUntil: _until, banReason: _reason, ...rest } = row;
  return { ...rest, status: 'active' };
}

/** The changes of a row to a user. A ban that is over counts as none on either side. */
export function changesOf(row: TakenRow, seen: Seen, context: Context): Changes {
  const isMoved = row.email !== undefined && foldEmail(row.email) !== seen.emailKey;
  const all = { ...membersOf(row), ...(isMoved && { emailVerified: row.emailVerified ?? false }) };
  const before = comparable(row, seen, context.now);
  const own = Object.fromEntries(
    // By their JSON, which has times too, and null for absent members.
    Object.entries(all).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name] ?? null),
    ),
  );
  const lifted = own['status'] === 'active' ? { bannedUntil: null, banReason: null } : {};
  const { externalId, ...metadata } = metadataOf(
    seen,
    row,
    context,
    isOwn(context.actor, seen) ? context.actor : undefined,
  );
  const hasNewId = externalId !== undefined && externalId !== (seen.externalId ?? null);
  return { ...own, ...lifted, ...metadata, ...(hasNewId && { externalId }) };
}

/** Without what ends with the change itself: it would have to be named again. */
function comparable(row: TakenRow, seen: Seen, now: Date): Readonly<Record<string, unknown>> {
  const { bannedUntil, banReason, mustChangePassword, ...rest } = seen;
  const isNewPassword = row.passwordHash !== undefined && row.passwordHash !== seen.passwordHash;
  return {
    ...rest,
    ...(isBanOver(seen, now) ? { status: 'active' } : { bannedUntil, banReason }),
    ...(!isNewPassword && { mustChangePassword }),
  };
}
