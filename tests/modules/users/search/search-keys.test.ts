import { foldSearch } from '../../../../src/kernel/fold';
import {
  SEARCH_KEY_MAX_CHARS,
  searchKeyOf,
  searchKeysOf,
} from '../../../../src/modules/users/search/search-keys';

/** By the key alone; the list adds a condition for a longer q (list.test). */
const finds = (q: string, name: string, email = 'nobody@example.org') =>
  searchKeysOf(name, email).includes(searchKeyOf(foldSearch(q)));

test.each([
  ['ada', 'Ada Lovelace'],
  ['ADA LOVE', 'Ada Lovelace'],
  ['love', 'Ada Lovelace'],
  ['emile', 'Émile Zola'],
  ['Ém', 'Emile'],
  ['strasse', 'Straße'],
  ['odegaard', 'Martin Ødegaard'],
  ['lodz', 'Łódź'],
  ['smith', 'Ann-Marie Smith'],
  ['marie', 'Ann-Marie Smith'],
  ['ann-m', 'Ann-Marie Smith'],
  ["o'br", "Conan O'Brien"],
  ['brien', "Conan O'Brien"],
  ['  ada   love', 'Ada  Lovelace'],
  ['ΣΊΣΥΦ', 'Σίσυφος'],
  ['christopher j', 'Christopher Jones'],
  ['山田', '山田太郎'],
  ['이순', '이순신'],
  ['хой', 'Пётр Хойл'],
  ['प्रि', 'प्रिया'],
  ['prado', 'Ana da Silva e Souza de Oliveira Prado'],
  ['z', `${'y '.repeat(49)}z`],
])('%s finds %s', (q, name) => {
  expect(finds(q, name)).toBe(true);
});

test.each([
  ['da', 'Ada Lovelace'],
  ['ovelace', 'Ada Lovelace'],
  ['lovelace x', 'Ada Lovelace'],
  ['ada lovelacy', 'Ada Lovelace'],
  ['', 'Ada'],
  [' ', 'Ada'],
  ['\u0301', 'Ada'],
  ['\u200b', 'A\u200bda'],
])('%j does not find %s', (q, name) => {
  expect(finds(q, name)).toBe(false);
});

test('the address is found by the start of its local part', () => {
  expect(finds('ada.l', 'X', 'Ada.Lovelace@example.org')).toBe(true);
  expect(finds('lovelace', 'X', 'Ada.Lovelace@example.org')).toBe(false);
  expect(finds('example', 'X', 'ada@example.org')).toBe(false);
});

test('long texts have bounded keys, and are found by a longer q', () => {
  const name = `${'a'.repeat(60)} ${'bcdefghij '.repeat(4)}`.trim();
  expect(searchKeysOf(name, `${'c'.repeat(64)}@example.org`).length).toBeLessThanOrEqual(
    7 * SEARCH_KEY_MAX_CHARS,
  );
  expect(finds('a'.repeat(50), name)).toBe(true);
  expect(searchKeysOf('w '.repeat(50).trim(), 'a@example.org').length).toBeLessThan(100);
});

test('folding is stable', () => {
  for (const text of ['Émile', 'ſ', 'ΐ', 'İstanbul', 'ﷺ', 'Å', 'ŉ', 'ẞ', 'ǅ', 'e\u0301\u0323'])
    expect(foldSearch(foldSearch(text))).toBe(foldSearch(text));
});
