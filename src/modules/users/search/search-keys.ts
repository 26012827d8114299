import { foldSearch } from '../../../kernel/fold';

/** The longest key that a query asks the index for; the rest of a longer `q` is a condition. */
export const SEARCH_KEY_MAX_CHARS = 12;
/** Marks the key of a whole text that is longer. No shorter key is equal to one. */
const WHOLE = '=';
const WHOLE_MAX_CHARS = 100;
/** Words after the first: a name of 100 characters has no more, but where folding makes some. */
const WORDS_MAX = 49;

/**
 * Every short start of the name, of each of its later words and of the part of the address before
 * the @, folded. An equal key finds the users by one point of the index, so that what follows the
 * key in the index, the name, is in order: a range of keys would not be.
 */
export function searchKeysOf(name: string, email: string): string[] {
  const folded = foldSearch(name);
  const keys = new Set<string>(startsOf(folded));
  for (const { index } of [...folded.matchAll(WORD_START)].slice(0, WORDS_MAX))
    for (const key of startsOf(folded.slice(index).split(' ')[0] ?? '')) keys.add(key);
  for (const key of startsOf(foldSearch(email).split('@')[0] ?? '')) keys.add(key);
  return [...keys];
}

/**
 * The search keys of a stored user. The text tells what the keys were made of: they are stale where
 * it is no longer the name and the address, because another version has written these alone.
 */
export const searchFields = (name: string, email: string) => ({
  searchKeys: searchKeysOf(name, email),
  searchText: `${name}${BETWEEN}${email}`,
  ...(new RegExp(MANY_WORDS, 'u').test(name) ? allWords(name, email) : {}),
});

/**
 * Of a name with more words than versions before have searched: what the keys of all of them were
 * made of.
 */
export const allWords = (name: string, email: string) => ({
  searchAll: `${name}${BETWEEN}${email}`,
});
/** For MongoDB too: six words after the first. */
export const MANY_WORDS = '(?:[^\\p{L}\\p{N}\\p{M}][\\p{L}\\p{N}].*?){6}';

/** Neither a name nor an address has one. */
const BETWEEN = '\n';
/** `searchText` as it must be, as an expression of the database. */
export const presentText = (name: unknown = '$name', email: unknown = '$email') => ({
  $concat: [name, BETWEEN, email],
});

/** A letter or digit after something else: `smith` in `ann-marie smith`, and `marie`. */
const WORD_START = /(?<=[^\p{L}\p{N}\p{M}])[\p{L}\p{N}]/gu;

/** The key that a folded search looks for. Nobody has the empty one. */
export const searchKeyOf = (text: string): string =>
  [...text].slice(0, SEARCH_KEY_MAX_CHARS).join('').trimEnd();

/**
 * For a folded search that is longer than its key: the start of the key of a text that it finds.
 * As `$expr`, which no index can serve: it must not replace the key as the range that is read.
 */
export function beyondKey(text: string): { readonly $expr: object } | undefined {
  if (searchKeyOf(text) === text) return undefined;
  const start = { $literal: `${WHOLE}${[...text].slice(0, WHOLE_MAX_CHARS).join('')}` };
  const isFound = { $eq: [{ $indexOfCP: ['$$this', start] }, 0] };
  return {
    $expr: {
      $reduce: { input: '$searchKeys', initialValue: false, in: { $or: ['$$value', isFound] } },
    },
  };
}

function startsOf(text: string): string[] {
  const characters = [...text];
  const starts: string[] = [];
  let start = '';
  for (const character of characters.slice(0, SEARCH_KEY_MAX_CHARS)) {
    start += character;
    // Blanks around q do not count, so no key ends with one.
    if (!start.endsWith(' ')) starts.push(start);
  }
  if (characters.length > SEARCH_KEY_MAX_CHARS)
    starts.push(`${WHOLE}${characters.slice(0, WHOLE_MAX_CHARS).join('')}`);
  return starts;
}
