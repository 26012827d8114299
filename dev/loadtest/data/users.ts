/** Below every id that MongoDB makes: their first four bytes say 1978. */
export const ID_PREFIX = '10ad7e57';
export const ID_DIGITS = 16;

const FIRST = ['Ada', 'Olga', 'José', 'Li', 'Anna', 'Zoë', 'Émile', 'Maria'];
const LAST = ['Kim', 'Diaz', 'Okoro', 'Novak', 'Rossi', 'Sato', 'Lund', 'Shah', 'Weber'];

/** Of all but the administrator, who has none: it stands here for everybody to read. */
export const PASSWORD = 'load test, not for production';
/** The n-th seeded user, computed without the database. */
export const idOf = (n: number): string => ID_PREFIX + n.toString(16).padStart(ID_DIGITS, '0');
export const numberOf = (id: string): number => Number.parseInt(id.slice(ID_PREFIX.length), 16);
/** Short, as every start of it is a key of the search index. */
export const EMAIL_PREFIX = 'u';
export const EMAIL_DOMAIN = '@loadtest.example';
export const emailOf = (n: number): string => `${EMAIL_PREFIX}${n}${EMAIL_DOMAIN}`;
/** Different ones. */
export const NAMES = FIRST.length * LAST.length;
export const nameOf = (n: number): string =>
  `${FIRST[n % FIRST.length]} ${LAST[Math.floor(n / FIRST.length) % LAST.length]}`;
/** The only administrator. */
export const ADMIN = 0;
export const roleOf = (n: number): string => (n === ADMIN ? 'admin' : 'user');

/** Ids of all seeded users, both ends included. */
export const ID_RANGE = [
  `${ID_PREFIX}${'0'.repeat(ID_DIGITS)}`,
  `${ID_PREFIX}${'f'.repeat(ID_DIGITS)}`,
] as const;
