import type { mongo } from 'mongoose';
import { NO_PASSWORD } from '../../../src/modules/auth';
import type { UserDocument } from '../../../src/modules/users/model';
import { newDocument } from '../../../src/modules/users/new-document';
import { presentText, searchKeysOf } from '../../../src/modules/users/search/search-keys';
import {
  ADMIN,
  EMAIL_DOMAIN,
  EMAIL_PREFIX,
  emailOf,
  ID_DIGITS,
  ID_PREFIX,
  idOf,
  NAMES,
  nameOf,
  roleOf,
} from './users';

const FIRST_MS = Date.UTC(2026, 0, 1);
const GAP_MS = 1000;
/** Each template has a digit of this base, and a number is two of them: 16.7 million users. */
const HEX_DIGITS = 3;
const HEX_BASE = 16 ** HEX_DIGITS;
export const USERS_MAX = HEX_BASE ** 2;

/** The n-th seeded user, as the users module stores one. */
export function documentOf(n: number, hashes: readonly string[]): UserDocument {
  const passwordHash = n === ADMIN ? NO_PASSWORD : (hashes[n % hashes.length] as string);
  const now = new Date(FIRST_MS + n * GAP_MS);
  const user = { id: idOf(n), name: nameOf(n), email: emailOf(n), passwordHash, role: roleOf(n) };
  const made = newDocument({ ...user, emailVerified: true }, now);
  // As of users whose events are in the log already: a million of them would fill it.
  return { ...made, outbox: [] };
}

export interface Template extends Omit<UserDocument, '_id'> {
  readonly _id: number;
}

/** One for each name. What depends on the number, the pipeline adds. */
export const templatesOf = (hashes: readonly string[]): Template[] =>
  Array.from({ length: NAMES }, (_, t) => ({
    // Not the administrator's.
    ...documentOf(t + NAMES, hashes),
    ...{ _id: t, searchKeys: searchKeysOf(nameOf(t), '') },
  }));

const hexDigits = Array.from({ length: HEX_BASE }, (_, digit) =>
  digit.toString(16).padStart(HEX_DIGITS, '0'),
);
const digitAt = (of: object) => ({ $arrayElemAt: ['$$digits', of] });
const text = { $concat: [EMAIL_PREFIX, { $toString: '$n' }] };
const starts = {
  $map: {
    input: { $range: [1, { $add: [{ $strLenBytes: text }, 1] }] },
    in: { $substrBytes: [text, 0, '$$this'] },
  },
};
const email = { $concat: [text, EMAIL_DOMAIN] };
const time = { $add: [new Date(FIRST_MS), { $multiply: ['$n', GAP_MS] }] };
const id = {
  $let: {
    vars: { digits: { $literal: hexDigits } },
    in: {
      $toObjectId: {
        $concat: [
          ID_PREFIX + '0'.repeat(ID_DIGITS - 2 * HEX_DIGITS),
          digitAt({ $trunc: { $divide: ['$n', HEX_BASE] } }),
          digitAt({ $mod: ['$n', HEX_BASE] }),
        ],
      },
    },
  },
};

/**
 * Makes the users `from` to `to` (exclusive) of the templates and stores them. The database does
 * all of it: sending a million documents takes longer than storing them.
 */
export const fillPipeline = (
  from: number,
  to: number,
  into: string,
  whenMatched: 'fail' | 'keepExisting',
): mongo.BSON.Document[] => [
  // Of each template, every NAMES-th number.
  { $set: { n: { $mod: [{ $subtract: ['$_id', from % NAMES] }, NAMES] } } },
  { $set: { n: { $add: [from, { $cond: [{ $lt: ['$n', 0] }, { $add: ['$n', NAMES] }, '$n'] }] } } },
  { $set: { n: { $range: ['$n', to, NAMES] } } },
  { $unwind: '$n' },
  {
    $set: {
      _id: id,
      ...{ email, emailKey: email, createdAt: time, updatedAt: time },
      searchKeys: { $concatArrays: ['$searchKeys', starts] },
      searchText: presentText('$name', email),
    },
  },
  { $unset: 'n' },
  { $merge: { into, on: '_id', whenMatched, whenNotMatched: 'insert' } },
];
