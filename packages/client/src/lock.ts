import type { TokenStorage } from './types.js';

/** Runs one piece of work at a time, over all tabs that share the storage or the cookie. */
export type Lock = <T>(work: () => Promise<T>) => Promise<T>;

interface LockManager {
  request<T>(name: string, options: { signal: AbortSignal }, work: () => Promise<T>): Promise<T>;
}

/**
 * The lock saves requests. It is not what keeps a session alive: should it be lost (a tab that
 * stands still for longer than `WAIT_MS`), two tabs send the same refresh token, which the service
 * answers twice with the same new one.
 */
const WAIT_MS = 15_000;
const LEASE_MS = 10_000;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const webLocks = () =>
  (globalThis as { navigator?: { locks?: LockManager } }).navigator?.locks ?? undefined;

/** `isShared`: other tabs or processes use the same storage, or cookie. */
export function createLock(name: string, isShared: boolean, storage?: TokenStorage): Lock {
  let last: Promise<unknown> = Promise.resolve();
  const outer: Lock = (work) => {
    const locks = webLocks();
    if (!isShared) return work();
    if (locks !== undefined) return withWebLock(locks, name, work);
    return storage === undefined ? work() : withStorageLock(storage, `${name}.lock`, work);
  };
  return (work) => {
    const run = last.then(() => outer(work));
    last = run.catch(() => {});
    return run;
  };
}

async function withWebLock<T>(
  locks: LockManager,
  name: string,
  work: () => Promise<T>,
): Promise<T> {
  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(), WAIT_MS);
  let begun = false;
  try {
    return await locks.request(name, { signal: waiting.signal }, () => {
      begun = true;
      clearTimeout(timer);
      return work();
    });
  } catch (error) {
    if (begun) throw error;
    return work();
  } finally {
    clearTimeout(timer);
  }
}

/** A storage has no atomic write: after writing, the entry is read once more. */
async function withStorageLock<T>(
  storage: TokenStorage,
  key: string,
  work: () => Promise<T>,
): Promise<T> {
  const id = Math.random().toString(36).slice(2);
  const holds = async () => ((await storage.getItem(key)) ?? '').startsWith(`${id} `);
  const until = Date.now() + WAIT_MS;
  while (Date.now() < until) {
    const leaseUntil = Number(((await storage.getItem(key)) ?? '').split(' ')[1] ?? 0);
    // One far in the future was written under another clock.
    if (!(leaseUntil > Date.now() && leaseUntil <= Date.now() + LEASE_MS)) {
      await storage.setItem(key, `${id} ${Date.now() + LEASE_MS}`);
      await sleep(10 + Math.random() * 20);
      if (await holds()) break;
    }
    await sleep(20 + Math.random() * 40);
  }
  try {
    return await work();
  } finally {
    if (await holds()) await storage.removeItem(key);
  }
}
