import type { Conversion, Migration } from '../../platform/mongo/migrations/migration';
import { USERS_COLLECTION } from './model';
import { allWords, MANY_WORDS, presentText, searchFields } from './search/search-keys';

/**
 * 0001: `emailVerified` replaces the address that was verified last. An account whose present
 * address was proven stays verified; `isEmailVerified` reads both forms.
 * 0003: `searchKeys`, for `q`, which finds a user of before only then.
 * 0004: `searchText`, by which keys of an earlier name or address are found and made anew.
 * 0005: keys of every word of a name; the versions before had those of the first six.
 */
const search: Conversion = {
  reads: ['name', 'email'],
  convert: ({ name, email }) => ({ $set: searchFields(name, email) }),
};

export const userMigrations: readonly Migration[] = [
  {
    id: '0001-users-email-verified',
    collection: USERS_COLLECTION,
    outdated: { emailVerified: { $exists: false } },
    change: [{ $set: { emailVerified: { $eq: ['$verifiedEmailKey', '$emailKey'] } } }],
  },
  {
    id: '0002-users-without-verified-key',
    collection: USERS_COLLECTION,
    outdated: { emailVerified: { $exists: true }, verifiedEmailKey: { $exists: true } },
    change: [{ $unset: ['verifiedEmailKey'] }],
    needs: '0001-users-email-verified',
  },
  {
    id: '0003-users-search-keys',
    collection: USERS_COLLECTION,
    outdated: { searchKeys: { $exists: false } },
    change: search,
  },
  {
    id: '0004-users-search-text',
    collection: USERS_COLLECTION,
    outdated: { $expr: { $ne: ['$searchText', presentText()] } },
    change: search,
  },
  {
    id: '0005-users-search-all-words',
    collection: USERS_COLLECTION,
    outdated: {
      name: { $regex: MANY_WORDS },
      $expr: { $ne: ['$searchAll', presentText()] },
    },
    change: {
      reads: search.reads,
      convert: ({ name, email }) => ({
        $set: { ...searchFields(name, email), ...allWords(name, email) },
      }),
    },
  },
];
