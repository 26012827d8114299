import type { Deadline } from '../../kernel/deadline';
import type { Problem } from '../../kernel/errors';
import type { Changes } from './changes';
import type { Snapshot } from './snapshot';

/**
 * The state of the account when the client was found to be its owner. The write that rests on it is
 * refused when it is so no longer.
 */
export interface Proof {
  readonly email: string;
  readonly passwordHash: string;
  /** Sessions were not ended since: given where what was asked for must end with them. */
  readonly sessionVersion?: number | undefined;
}

export interface ChangeOptions {
  readonly check?: Check | undefined;
  /** Of the request; every other write has a deadline of its own. */
  readonly within?: Deadline;
  /** Thrown when the change would set another e-mail address. */
  readonly ifEmailChanges?: Problem | undefined;
  /** Thrown when the change would set another role. */
  readonly ifRoleChanges?: Problem | undefined;
  /** Further changes, of the user as it is seen. Throws what refuses them. */
  readonly derive?: (seen: Snapshot) => Changes;
}

/** Throws where a request does not want to change the user as it is. */
export type Check = (rev: number, present: Pick<Snapshot, 'view' | 'hidden'>) => void;
