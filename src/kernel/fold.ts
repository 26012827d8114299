/**
 * Addresses with the same letters belong to the same account. Folds compatibility forms and case,
 * nothing else: dots and +tags stay.
 */
export const foldEmail = (email: string): string => email.normalize('NFKC').toLowerCase();

/** A compatibility form may expand (U+FDFA to 18 characters), and cursors contain the key. */
const NAME_KEY_MAX_CHARS = 100;

/**
 * The key for sorting and prefix search, at most 100 characters. Full case folding through capitals
 * (ß as ss), and one letter for every sigma, so that a prefix folds to a prefix.
 */
export function foldName(name: string): string {
  const folded = name
    .normalize('NFKC')
    .toUpperCase()
    .toLowerCase()
    .replaceAll('ς', 'σ')
    .normalize('NFKC');
  return folded.length <= NAME_KEY_MAX_CHARS
    ? folded
    : [...folded].slice(0, NAME_KEY_MAX_CHARS).join('');
}

/** Letters that Unicode does not decompose into a letter and a mark. */
const PLAIN: Readonly<Record<string, string>> = {
  ...{ ø: 'o', ł: 'l', đ: 'd', ħ: 'h', ı: 'i', ŧ: 't' },
  ...{ æ: 'ae', œ: 'oe', ð: 'd', þ: 'th', ß: 'ss' },
};

/**
 * For search: as `foldName`, without accents and invisible characters, and with single blanks. The
 * marks of other scripts stay, where they are vowels.
 */
export const foldSearch = (text: string): string =>
  text
    .normalize('NFKC')
    .toUpperCase()
    .toLowerCase()
    .normalize('NFD')
    .replaceAll(/[\u0300-\u036f\p{Default_Ignorable_Code_Point}\p{Cc}]/gu, '')
    .normalize('NFKC')
    .replaceAll('ς', 'σ')
    .replaceAll(/[øłđħıŧæœðþß]/g, (letter) => PLAIN[letter] ?? letter)
    .replaceAll(/\s+/g, ' ')
    .trim();
