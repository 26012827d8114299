import type { IndexedCollection } from '../data/indexes';
import { auditIndexes } from './audit';
import { deviceIndexes } from './known-devices';
import { oneTimeTokenIndexes } from './one-time-tokens';
import { sessionIndexes } from './session-store';

/** Of everything that authentication keeps. Those on times are housekeeping: what has expired is refused without them. */
export const authIndexes: readonly IndexedCollection[] = [sessionIndexes, deviceIndexes, oneTimeTokenIndexes, auditIndexes];
