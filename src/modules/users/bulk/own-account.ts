import type { Actor } from '../../../kernel/permissions';
import type { Changes } from '../changes';
import { emailNeedsProof, ownAccount } from '../rules';
import type { Seen } from './seen';

/** Whether this user has asked for the import. */
export const isOwn = ({ userId }: Pick<Actor, 'userId'>, { _id }: Pick<Seen, '_id'>): boolean =>
  userId === _id.toHexString();

/** Of the own account these change by a proof, or by somebody else. */
const NOT_OWN = ['passwordHash', 'emailVerified', 'status', 'bannedUntil', 'banReason'] as const;

/**
 * An import is no way around the routes of the own account: throws the problems that they answer.
 * The role and the metadata go by the permissions there, too.
 */
export function assertMayChangeOwn(changes: Changes): void {
  if (changes.email !== undefined) throw emailNeedsProof();
  // To demand another password of oneself is allowed; to lift the demand takes that password.
  if (changes.mustChangePassword === null) throw ownAccount();
  if (NOT_OWN.some((member) => changes[member] !== undefined)) throw ownAccount();
}
