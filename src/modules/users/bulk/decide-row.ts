import type { Types } from 'mongoose';
import { Problem } from '../../../kernel/errors';
import { type Actor, ADMIN, type Policy, USER } from '../../../kernel/permissions';
import type { Changes, MetadataChanges } from '../changes';
import type { IndexedPath } from '../metadata/indexed';
import type { ImportOrder } from './intake';
import { markOfJob } from './marks';
import { assertMayChangeOwn, isOwn } from './own-account';
import { changesOf, metadataOf } from './row-changes';
import type { RowFault, TakenRow } from './rows';
import type { Seen } from './seen';

export type WriteDecision =
  | { readonly kind: 'insert'; readonly metadata: MetadataChanges }
  | { readonly kind: 'update'; readonly seen: Seen; readonly changes: Changes };

export type Decision =
  | WriteDecision
  /** Nothing to write. */
  | { readonly kind: 'created' | 'unchanged' }
  /** Written already, by an earlier attempt at this part of the file. */
  | { readonly kind: 'updated'; readonly seen: Seen }
  | { readonly kind: 'skipped' | 'conflict' | 'refused'; readonly fault: RowFault };

export interface DecisionContext {
  readonly job: string;
  readonly indexed: readonly IndexedPath[];
  readonly order: ImportOrder;
  readonly actor: Actor;
  readonly policy: Policy;
  /** The database's time: a ban that is over is none. */
  readonly now: Date;
}

/** The stored users that share a key with a row. */
export interface Holders {
  /** Whether there is the user that this very row makes. */
  readonly made: boolean;
  readonly email: Seen | undefined;
  readonly externalId: Seen | undefined;
}

/**
 * The `_id` of a new user follows from the job and the line: a line that is done again after a
 * crash cannot make a second user. In the order of the lines, as the index likes it.
 */
export function rowId(job: string, line: number): string {
  const counter = (line + counterOf(job)).toString(16).padStart(8, '0');
  // The time of the job, then its random bytes in place of the process's, then the line.
  return `${job.slice(0, 8)}${job.slice(10, 18)}${counter}`;
}

/** Jobs of one process in one second differ in their counter only. */
const counterOf = (job: string) => (Number.parseInt(job.slice(18), 16) % 0x40) * LINES;
const LINES = 0x2000000;

/** The line of the job that made the user; undefined where the job did not. */
function lineOfMade(job: string, id: Types.ObjectId): number | undefined {
  const hex = id.toHexString();
  const line = Number.parseInt(hex.slice(16), 16) - counterOf(job);
  return hex.startsWith(rowId(job, 0).slice(0, 16)) && line > 0 && line < LINES ? line : undefined;
}

const refuse = (code: string, message: string): Decision => ({
  kind: 'refused',
  fault: { code, message },
});
const fieldMissing = (pointer: string): Decision => ({
  kind: 'refused',
  fault: {
    code: 'validation_failed',
    message: 'One or more fields are not valid.',
    errors: [{ pointer, code: 'required', message: 'is missing, and there is no such user yet' }],
  },
});

export const NOT_PERMITTED = refuse(
  'import_not_permitted',
  'The requester of this import may no longer import users.',
);

/** The decision on a row. */
export function decideRow(row: TakenRow, holders: Holders, context: DecisionContext): Decision {
  try {
    return decide(row, holders, context);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { code, message, errors } = error;
    return { kind: 'refused', fault: { code, message, ...(errors && { errors }) } };
  }
}

function decide(row: TakenRow, holders: Holders, context: DecisionContext): Decision {
  const { order } = context;
  if (holders.made) return { kind: 'created' };
  const seen = order.match === 'email' ? holders.email : holders.externalId;
  const before = seen === undefined ? undefined : doneBefore(row, seen, context);
  if (before !== undefined) return before;
  const taken = takenKey(row, seen, holders);
  if (!context.actor.permissions.has('users:import')) return NOT_PERMITTED;
  if (seen === undefined) return decideNew(row, taken, context);
  if (order.conflict === 'skip')
    return { kind: 'skipped', fault: { code: 'exists', message: 'The user exists already.' } };
  if (order.conflict === 'fail')
    return { kind: 'conflict', fault: { code: 'exists', message: 'The user exists already.' } };
  const { actor, policy } = context;
  if (seen.role === ADMIN || !policy.mayActOn(actor, seen._id.toHexString(), seen.role))
    return refuse('user_protected', `An import of yours may not change a user of ${seen.role}.`);
  const changes = changesOf(row, seen, context);
  if (isOwn(actor, seen)) assertMayChangeOwn(changes);
  if (changes.role !== undefined && !mayAssign(changes.role, context)) return roleRefused(row);
  if (taken !== undefined) return taken;
  return Object.keys(changes).length === 0
    ? { kind: 'unchanged' }
    : { kind: 'update', seen, changes };
}

/** Where the job has written this user: by this line, before a crash, or by another one. */
function doneBefore(
  { line }: TakenRow,
  seen: Seen,
  { job }: DecisionContext,
): Decision | undefined {
  const before = lineOfMade(job, seen._id) ?? markOfJob(seen, job)?.line;
  if (before === undefined) return undefined;
  return before === line
    ? { kind: 'updated', seen }
    : refuse('duplicate_record', `Line ${before} of the file is the same user.`);
}

function decideNew(row: TakenRow, taken: Decision | undefined, context: DecisionContext): Decision {
  if (row.email === undefined) return fieldMissing('/email');
  if (taken !== undefined) return taken;
  const { role = USER } = row;
  // The default role of a new user needs no permission; to take another role away does.
  return role === USER || mayAssign(role, context)
    ? { kind: 'insert', metadata: metadataOf({}, row, context) }
    : roleRefused(row);
}

/** Administrators are made one by one, by a person (`npm run admin`). */
const mayAssign = (role: string, { policy, actor }: DecisionContext) =>
  role !== ADMIN && policy.roles.includes(role) && policy.mayAssign(actor, role);

const roleRefused = ({ role }: TakenRow) =>
  refuse('role_not_allowed', `An import of yours may not give the role ${role}.`);

/** The refusal of a row whose other key is another user's. */
function takenKey(row: TakenRow, seen: Seen | undefined, holders: Holders): Decision | undefined {
  const isOther = (holder: Seen | undefined) =>
    holder !== undefined && (seen === undefined || !holder._id.equals(seen._id));
  if (row.email !== undefined && isOther(holders.email))
    return refuse('email_taken', 'Another account has this e-mail address.');
  if (row.metadata.external_id !== undefined && isOther(holders.externalId))
    return refuse('external_id_taken', 'Another account has this external id.');
  return undefined;
}
