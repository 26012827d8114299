import type { TokenStorage } from './types.js';

/** The other tabs (pages, workers) that share the session. */
export interface Tabs {
  /** Undefined: signed out. */
  publish(token: string | undefined): void;
  close(): void;
}

type Listener = (event: { readonly key?: string | null; readonly data?: unknown }) => void;
interface EventTarget {
  addEventListener?(type: string, listener: Listener): void;
  removeEventListener?(type: string, listener: Listener): void;
}

const nobody: Tabs = { publish() {}, close() {} };

/** BroadcastChannel; without it, the event that a page gets when another one writes the storage. */
export function connectTabs(
  key: string,
  isShared: boolean,
  heard: (token: string | undefined) => void,
): Tabs {
  if (!isShared) return nobody;
  if (typeof BroadcastChannel === 'function') {
    const channel = new BroadcastChannel(key);
    channel.onmessage = (event: { data?: unknown }) => {
      const token = (event.data as { token?: unknown } | null)?.token;
      heard(typeof token === 'string' ? token : undefined);
    };
    // In Node an open channel keeps the process alive.
    (channel as { unref?: () => void }).unref?.();
    let isOpen = true;
    return {
      // A closed channel throws: a call that outlives the client still stores its tokens.
      publish: (token) => isOpen && channel.postMessage({ token }),
      close() {
        isOpen = false;
        channel.close();
      },
    };
  }
  const target = globalThis as EventTarget;
  const listener: Listener = (event) => {
    if (event.key === key) heard(undefined);
  };
  target.addEventListener?.('storage', listener);
  return { ...nobody, close: () => target.removeEventListener?.('storage', listener) };
}

export function createMemoryStorage(): TokenStorage {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}
