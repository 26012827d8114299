import { foldEmail } from '../../../kernel/fold';
import type { Actor } from '../../../kernel/permissions';
import type { Cause, EmitEvent } from '../../domain-events';
import type { Changes } from '../changes';
import { auditedMembers } from '../metadata/changes';
import type { ImportMark } from '../model';
import { isOwn } from './own-account';
import type { Seen } from './seen';

/** The changed accounts whose links, or records beside the user, must go. */
export interface ChangedAccounts {
  /** Links that were mailed to them end. */
  readonly links: readonly string[];
  /** Another one has set the password: known devices and records of ended sessions go too. */
  readonly passwords: readonly { readonly id: string; readonly sessionVersion: number }[];
}

type SecurityChange = NonNullable<ImportMark['did']>[number];

const ENDING_SESSIONS = ['passwordHash', 'role', 'status'] as const;
const SECURITY_CHANGES: readonly SecurityChange[] = [
  'email',
  'emailVerified',
  ...ENDING_SESSIONS,
  'mustChangePassword',
];

/** Changes of an update that concern access to the account, or its permissions. */
function securityChanges(seen: Seen, changes: Changes): readonly SecurityChange[] {
  const { email } = changes;
  const isMoved = email !== undefined && foldEmail(email) !== seen.emailKey;
  return SECURITY_CHANGES.filter((member) => {
    if (member === 'email') return isMoved;
    // Another address is unverified, unless the record says that it is verified.
    if (member === 'emailVerified') return changes.emailVerified === true && !isMoved;
    if (member === 'status') return changes.status !== undefined || changesBan(changes);
    if (member === 'mustChangePassword') return changes.mustChangePassword === true;
    return changes[member] !== undefined;
  });
}

/** The consequences of an update, as its mark has them: also where the part is repeated. */
export function toTell(
  seen: Seen,
  changes: Changes,
  actor: Pick<Actor, 'userId'>,
): Pick<ImportMark, 'did' | 'members'> {
  const did = securityChanges(seen, changes);
  const members = auditedMembers(changes, seen, isOwn(actor, seen));
  return { ...(did.length > 0 && { did }), ...(members.length > 0 && { members }) };
}

/** Its end or its reason, as by another ban. */
const changesBan = ({ bannedUntil, banReason }: Changes): boolean =>
  bannedUntil !== undefined || banReason !== undefined;

/** Also another end of a ban: a login may be under way that has seen the present one over. */
export const endsSessions = (changes: Changes): boolean =>
  changesBan(changes) || ENDING_SESSIONS.some((member) => member in changes);

/** An account as a row has left it. */
export interface Changed {
  readonly id: string;
  readonly sessionVersion: number;
  readonly did: readonly SecurityChange[];
  /** Members that the audit log names. */
  readonly members: readonly string[];
  readonly role: string;
  readonly status: 'active' | 'banned';
  /** Of a ban. */
  readonly until?: Date | undefined;
  readonly reason?: string | undefined;
}

/** The same as the routes of one user remove: a change of the role removes no link. */
export function toCleanUp(all: readonly Changed[]): ChangedAccounts {
  const hasLinksToEnd = ({ did, status }: Changed) =>
    did.includes('email') ||
    did.includes('passwordHash') ||
    (did.includes('status') && status === 'banned');
  return {
    links: all.filter(hasLinksToEnd).map(({ id }) => id),
    passwords: all.filter(({ did }) => did.includes('passwordHash')),
  };
}

const endsAny = (did: readonly SecurityChange[]): boolean =>
  ENDING_SESSIONS.some((member) => did.includes(member));

/** The events that the routes of one user emit. */
export function emitChanges(
  emit: EmitEvent,
  { id: userId, did, members, role, status, until, reason }: Changed,
  by: Cause,
) {
  const event = { userId, ...by };
  if (members.length > 0) emit('MetadataChanged', { ...event, members });
  for (const change of did) {
    if (change === 'email') emit('EmailChanged', { ...event, from: undefined });
    else if (change === 'emailVerified') emit('EmailVerified', event);
    else if (change === 'passwordHash')
      emit('PasswordChanged', { ...event, how: 'administration' });
    else if (change === 'role') emit('RoleChanged', { ...event, role });
    else if (change === 'status') emit('StatusChanged', { ...event, status, until, reason });
    else emit('PasswordChangeRequired', { ...event, endsSessions: endsAny(did) });
  }
}
