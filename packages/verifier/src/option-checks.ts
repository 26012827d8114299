/** The rule of an option. */
interface Check {
  readonly fits: (value: unknown) => boolean;
  /** The rule in words, for the error message. */
  readonly must: string;
}

export type Checks<T> = { readonly [K in keyof Required<T>]: Check };

export const text = (of: string): Check => ({
  fits: (value) => typeof value === 'string' && value.trim() !== '',
  must: `must be a text that is not empty: ${of}`,
});
/** The longest time of a timer in Node: past it, it ends at once. */
export const LONGEST_MS = 2_147_483_647;
export const count = (least: number, most = Number.MAX_SAFE_INTEGER): Check => ({
  fits: (value) => typeof value === 'number' && value >= least && value <= most,
  must: `must be a number from ${least} to ${most}`,
});
export const isFunction: Check = {
  fits: (value) => typeof value === 'function',
  must: 'must be a function',
};
export const isBoolean: Check = {
  fits: (value) => typeof value === 'boolean',
  must: 'must be true or false',
};
export const oneOf = (...values: readonly string[]): Check => ({
  fits: (value) => values.includes(value as string),
  must: `must be ${values.map((one) => `'${one}'`).join(' or ')}`,
});

interface Expected<T> {
  readonly checks: Checks<T>;
  readonly needed?: readonly (keyof T & string)[];
  /** Where the options are a member of others. */
  readonly within?: string;
}

/**
 * Throws where an option is missing, has a value without meaning, or has an unknown name: a
 * silently ignored option may be a safeguard. `undefined` stands for an option left out.
 */
export function assertOptions<T extends object>(
  whose: string,
  options: T,
  { checks, needed = [], within = '' }: Expected<T>,
): void {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`${whose}: the options must be an object, not ${shown(options)}`);
  const names = Object.keys(checks) as (keyof T & string)[];
  for (const name of Object.keys(options))
    if (!names.some((one) => one === name))
      throw new TypeError(`${whose}: there is no option ${within}${name}; ${meant(name, names)}`);
  for (const name of names) {
    const value: unknown = options[name];
    const { fits, must } = checks[name];
    if (value === undefined ? needed.includes(name) : !fits(value))
      throw new TypeError(`${whose}: ${within}${name} ${must}; it is ${shown(value)}`);
  }
}

/** A text may be a secret. */
function shown(value: unknown): string {
  if (typeof value === 'string') return value.trim() === '' ? 'empty' : 'another text';
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

function meant(name: string, names: readonly string[]): string {
  const [nearest = ''] = [...names].sort((a, b) => distance(name, a) - distance(name, b));
  return distance(name, nearest) <= 3
    ? `did you mean ${nearest}?`
    : `there are ${names.join(', ')}`;
}

/** Letters to insert, delete or replace, without regard to case. */
function distance(one: string, other: string): number {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()];
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, same);
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
