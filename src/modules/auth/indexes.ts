import { mailQueueIndexes } from '../../platform/mail/mail-row';
import type { IndexedCollection } from '../../platform/mongo/indexed-collection';
import { usedProofIndexes } from './dpop/used-proofs';
import { mailedCodeIndexes } from './email-sign-in/mailed-codes';
import { mfaTokenIndexes } from './factors/mfa-tokens';
import { factorIndexes } from './factors/totp-store';
import { identityIndexes } from './federation/identities';
import { stepIndexes } from './federation/steps';
import { keyReaderIndexes } from './keys/key-readers';
import { challengeIndexes } from './passkeys/challenges';
import { passkeyIndexes } from './passkeys/passkey-store';
import { oneTimeTokenIndexes } from './recovery/one-time-tokens';
import { revocationIndexes } from './revocations/log';
import { verifierIndexes } from './revocations/verifiers';
import { deviceIndexes } from './sessions/known-devices';
import { sessionIndexes } from './sessions/session-store';

/**
 * Of everything that authentication keeps. Those on times are housekeeping: an expired document is
 * refused without them.
 */
export const authIndexes: readonly IndexedCollection[] = [
  sessionIndexes,
  deviceIndexes,
  oneTimeTokenIndexes,
  mfaTokenIndexes,
  factorIndexes,
  mailedCodeIndexes,
  mailQueueIndexes,
  keyReaderIndexes,
  usedProofIndexes,
  identityIndexes,
  stepIndexes,
  passkeyIndexes,
  challengeIndexes,
  revocationIndexes,
  verifierIndexes,
];
