/** Words that are common in placeholder and hand-made secrets. */
const KNOWN =
  /secret|password|passwort|passwd|change|default|example|sample|insecure|production|development|staging|supersecure|token|admin|login|user|auth|service|server|session|cookie|signing|sign|encryption|encrypt|private|public|api|jwt|key|master|random|string|least|bits|bytes|characters|please|replace|this|that|must|your|super|long|very|long|enough|test|demo|local|todo|none|null|undefined|foobar|letmein|welcome|hello|world|qwerty|qwertz|azerty|deadbeef|cafebabe|baadf00d/gi;

/** Prefixes of sample secrets in manuals; refused in every environment. */
const FROM_MANUALS =
  /^(secret|changeme|change-me|your[-_ ]?secret|jwt[-_ ]?secret|thisisasamplesecret|password|supersecret|test)/i;

const ROWS = [
  'qwertyuiop',
  'qwertzuiop',
  'azertyuiop',
  'asdfghjkl',
  'zxcvbnm',
  'yxcvbnm',
  '1234567890',
];
const COLUMNS = ['1qaz', '2wsx', '3edc', '4rfv', '5tgb', '6yhn', '7ujm', '8ik,', '9ol.', '0p;/'];
/** Characters of the shifted digit keys 0 to 9. */
const SHIFTED = ')!@#$%^&*(';
/** Digits and signs that replace letters of similar shape ("p4ssw0rd"). */
const LOOKALIKES: Readonly<Record<string, string>> = {
  0: 'o',
  1: 'i',
  3: 'e',
  4: 'a',
  5: 's',
  7: 't',
  '@': 'a',
  $: 's',
  '!': 'i',
};

/** The most frequent letter pairs of English; they are rare in random strings. */
const ENGLISH = new Set(
  (
    'th he in er an re nd on en at ou ed ha to or it is hi es ng st ar te se ve al nt ea ne le ra ro ll ec om co de me di ' +
    'ri ic as io li el ch ce la no be ns wh ut ti si ur et ca us tr us so wo ma pe ho ss ac ta em ad ly sh wi em ke ge ey my'
  ).split(' '),
);

/** Entropy of a character that the characters before it predict, in bits. */
const PREDICTABLE_BITS = 0.5;
const ENGLISH_BITS = 1.5;
/**
 * 16 random bytes are enough for a secret. As 32 hex digits they have 128 bits, which this estimate
 * never puts below 80.
 */
const ENOUGH_BITS = 76;

const key = (character: string) =>
  SHIFTED.includes(character) ? String(SHIFTED.indexOf(character)) : character;
const isNeighbour = (a: string, b: string) =>
  [...ROWS, ...COLUMNS].some(
    (row) => row.includes(key(a) + key(b)) || row.includes(key(b) + key(a)),
  );
const blank = (word: string) => '\0'.repeat(word.length);

/**
 * Whether the characters before `i` predict the one at `i`: a repeated step, a keyboard row, or a
 * repeated substring.
 */
function followsFrom(text: string, i: number): boolean {
  const [a, b, c] = [text.charCodeAt(i - 2), text.charCodeAt(i - 1), text.charCodeAt(i)];
  if (i >= 2 && b - a === c - b && Math.abs(c - b) <= 2) return true;
  if (
    i >= 2 &&
    isNeighbour(text.slice(i - 2, i - 1), text.slice(i - 1, i)) &&
    isNeighbour(text.slice(i - 1, i), text.slice(i, i + 1))
  )
    return true;
  // Two alternating steps: aabbccdd, a1b2c3d4.
  if (
    i >= 4 &&
    c - a === a - text.charCodeAt(i - 4) &&
    Math.abs(c - a) <= 2 &&
    b - text.charCodeAt(i - 3) === text.charCodeAt(i - 3) - text.charCodeAt(i - 5)
  )
    return true;
  return i >= 3 && text.slice(0, i).includes(text.slice(i - 2, i + 1));
}

/**
 * A conservative estimate of a secret's entropy, in bits: patterns, repetitions and words count for
 * almost nothing.
 */
export function estimateBits(secret: string): number {
  const plain = secret.toLowerCase().replaceAll(KNOWN, blank);
  const read = plain
    .replaceAll(/[0-9@$!]/g, (sign) => LOOKALIKES[sign] ?? sign)
    .replaceAll(KNOWN, blank);
  const text = [...plain].map((character, i) => (read[i] === '\0' ? '\0' : character)).join('');
  const perCharacter = Math.log2(new Set(secret).size);
  let bits = 0;
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === '\0') continue;
    if (followsFrom(text, i)) bits += Math.min(perCharacter, PREDICTABLE_BITS);
    else if (ENGLISH.has(text.slice(i - 1, i + 1))) bits += Math.min(perCharacter, ENGLISH_BITS);
    else bits += perCharacter;
  }
  return bits;
}

/** A sample secret, or one with fewer than 8 distinct characters; refused in every environment. */
export const isKnown = (secret: string) => FROM_MANUALS.test(secret) || new Set(secret).size < 8;

/** Too predictable for production. */
export const isPatterned = (secret: string) => estimateBits(secret) < ENOUGH_BITS;
