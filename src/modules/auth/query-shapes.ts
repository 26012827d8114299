import type { Connection } from 'mongoose';
import { MAIL_QUEUE_COLLECTION } from '../../platform/mail/mail-row';
import type { QueryShape } from '../../platform/mongo/explain';
import { dueFilter } from '../../platform/mongo/expressions';
import { MAILED_CODES_COLLECTION } from './email-sign-in/mailed-codes';
import { MFA_TOKENS_COLLECTION } from './factors/mfa-tokens';
import { FACTORS_COLLECTION } from './factors/totp-store';
import { IDENTITIES_COLLECTION } from './federation/identities';
import { FEDERATION_STEPS_COLLECTION } from './federation/steps';
import { CHALLENGES_COLLECTION } from './passkeys/challenges';
import { PASSKEYS_COLLECTION } from './passkeys/passkey-store';
import { ONE_TIME_TOKENS_COLLECTION } from './recovery/one-time-tokens';
import { REVOCATIONS_COLLECTION } from './revocations/log';
import { liveFilter, VERIFIERS_COLLECTION } from './revocations/verifiers';
import { DEVICES_COLLECTION } from './sessions/known-devices';
import { SESSIONS_COLLECTION } from './sessions/session-store';

const SOME_ID = '652f1c3e9b1d4a0012ab34cd';

/** The queries of authentication that are not by `_id`; for `npm run explain` and its test. */
export function authQueryShapes(connection: Connection): QueryShape[] {
  const find = (
    name: string,
    collection: string,
    filter: object,
    sort: Record<string, 1 | -1> = {},
  ): QueryShape => ({
    name,
    explain: () =>
      connection.collection(collection).find(filter).sort(sort).limit(51).explain('queryPlanner'),
  });
  return [
    find(
      'sessions of a user',
      SESSIONS_COLLECTION,
      { userId: SOME_ID, until: { $gt: new Date() }, endedAt: { $exists: false } },
      { lastUsedAt: -1 },
    ),
    find('factors of a user', FACTORS_COLLECTION, {
      userId: SOME_ID,
      kind: 'totp',
      confirmedAt: { $exists: true },
    }),
    find('mailed codes of a user', MAILED_CODES_COLLECTION, { userId: SOME_ID }),
    find('known devices of a user', DEVICES_COLLECTION, { userId: SOME_ID }),
    find('mailed tokens of a user', ONE_TIME_TOKENS_COLLECTION, {
      userId: SOME_ID,
      purpose: 'reset-password',
    }),
    find('mfa tokens of a user', MFA_TOKENS_COLLECTION, { userId: SOME_ID }),
    find('the identity of a subject', IDENTITIES_COLLECTION, {
      issuer: 'https://issuer.example',
      subject: 'somebody',
    }),
    find('identities of a user', IDENTITIES_COLLECTION, { userId: SOME_ID }),
    find('links in progress of a user', FEDERATION_STEPS_COLLECTION, { 'link.userId': SOME_ID }),
    find('the holder of a passkey', PASSKEYS_COLLECTION, { 'passkeys.credentialId': 'q2Vb4nK8' }),
    find(
      'pending challenges of a holder',
      CHALLENGES_COLLECTION,
      { binding: 'q2Vb4nK8' },
      { until: -1 },
    ),
    find('verifiers that are live', VERIFIERS_COLLECTION, liveFilter(Date.now())),
    find('revocations that no token needs', REVOCATIONS_COLLECTION, { at: { $lt: new Date(0) } }),
    find('the mail that is due', MAIL_QUEUE_COLLECTION, dueFilter, { dueAt: 1 }),
    find('the oldest mail', MAIL_QUEUE_COLLECTION, {}, { createdAt: 1 }),
    find('mails of a kind', MAIL_QUEUE_COLLECTION, { kind: 'reset-password' }),
    find('mails to an address', MAIL_QUEUE_COLLECTION, { recipient: 'somebody' }),
    find('mails of an account', MAIL_QUEUE_COLLECTION, {
      account: SOME_ID,
      kind: { $in: ['reset-password'] },
    }),
  ];
}
