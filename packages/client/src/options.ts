import type { TokenStorage } from './types.js';

export interface ClientOptions {
  readonly baseUrl: string;
  /**
   * Where the refresh token is: `cookie`: in a cookie that no script reads (a page of the same site
   * as the service, in BROWSER_ORIGINS); `token` (the default): in `storage`.
   */
  readonly mode?: 'token' | 'cookie';
  /** Of mode `token`; shared by tabs, e.g. `localStorage`. Default: memory. */
  readonly storage?: TokenStorage;
  /** Clients with the same key share a session. */
  readonly storageKey?: string;
  readonly fetch?: typeof fetch;
  /** Of each call with its retries. Default 30 s. */
  readonly timeoutMs?: number;
  /** Of each attempt. Default 10 s. */
  readonly attemptTimeoutMs?: number;
  /** How many GET answers are kept for If-None-Match. Default 100; 0: none. */
  readonly cachedAnswers?: number;
  /** How many retries may be made at once beyond three for ten successful calls. Default 100. */
  readonly retryBudget?: number;
  /** Called when another user is signed in, here or in another tab; undefined: nobody. */
  readonly onUserChange?: (userId: string | undefined) => void;
}

/** The rule of an option in words, and its check. */
interface Check {
  readonly must: string;
  readonly fits: (value: unknown) => boolean;
}

/** The longest time of a timer: past it, it ends at once. */
const LONGEST_MS = 2 ** 31 - 1;

const milliseconds: Check = {
  must: `must be milliseconds, from 1 to ${LONGEST_MS}`,
  fits: (value) => typeof value === 'number' && value >= 1 && value <= LONGEST_MS,
};
const count: Check = {
  must: 'must be a number from 0',
  fits: (value) => typeof value === 'number' && value >= 0,
};
const isFunction = (value: unknown): boolean => typeof value === 'function';
const aFunction: Check = { must: 'must be a function', fits: isFunction };

const CHECKS: { readonly [K in keyof Required<ClientOptions>]: Check } = {
  baseUrl: {
    must: 'must be the address of the service with its scheme, like location.origin',
    fits: isBaseUrl,
  },
  mode: {
    must: "must be 'token' or 'cookie'",
    fits: (value) => value === 'token' || value === 'cookie',
  },
  storage: {
    must: 'must have the functions getItem, setItem and removeItem, as localStorage has',
    fits: (value) =>
      ['getItem', 'setItem', 'removeItem'].every((name) =>
        isFunction((value as Record<string, unknown> | null)?.[name]),
      ),
  },
  storageKey: {
    must: 'must be a text that is not empty',
    fits: (value) => typeof value === 'string' && value !== '',
  },
  fetch: aFunction,
  timeoutMs: milliseconds,
  attemptTimeoutMs: milliseconds,
  cachedAnswers: count,
  retryBudget: count,
  onUserChange: aFunction,
};

/** Paths are appended to it. */
function isBaseUrl(value: unknown): boolean {
  try {
    const { protocol, username, password } = new URL(value as string);
    return /^https?:$/.test(protocol) && !username && !password && !/[?#]/.test(value as string);
  } catch {
    return false;
  }
}

/**
 * Throws where an option is missing, has a value that means nothing, or has an unknown name.
 * `undefined` stands for an option left out.
 */
export function assertOptions(options: ClientOptions): void {
  const names = Object.keys(CHECKS) as (keyof ClientOptions)[];
  for (const name of Object.keys(options ?? {}))
    if (!names.includes(name as keyof ClientOptions))
      throw new TypeError(
        `createClient: there is no option ${name}; there are ${names.join(', ')}`,
      );
  for (const name of names) {
    const value = options?.[name];
    if (value !== undefined || name === 'baseUrl')
      assertFits(`createClient: ${name}`, value, CHECKS[name]);
  }
}

/** For calls, which may have a time of their own. */
export const assertTimeout = (timeoutMs: number): void =>
  assertFits('timeoutMs', timeoutMs, milliseconds);

function assertFits(name: string, value: unknown, { must, fits }: Check): void {
  if (!fits(value)) throw new TypeError(`${name} ${must}; it is ${shown(value)}`);
}

function shown(value: unknown): string {
  // A password in an address stays out of logs.
  if (typeof value === 'string') return JSON.stringify(value.replace(/^.*@/, '…@'));
  return value !== null && /object|function/.test(typeof value) ? typeof value : String(value);
}
