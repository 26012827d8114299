import type { Client, TokenStorage } from '../packages/client/src';
import { createClient } from '../packages/client/src';

/** What the load asks of a client; a plain one has the same functions. */
export interface LoadClient {
  register(account: Account): Promise<void>;
  setKey(key: string, value: number): Promise<void>;
  readKey(key: string): Promise<number>;
}

export interface Account {
  readonly name: string;
  readonly email: string;
  readonly password: string;
}

export type ClientOf = (baseUrl: string, storage: TokenStorage) => LoadClient;

export const packageClient: ClientOf = (baseUrl, storage) => {
  const client: Client = createClient({ baseUrl, storage });
  return {
    async register(account) {
      await client.auth.register(account);
    },
    async setKey(key, value) {
      await client.users.update('me', { user_metadata: { [key]: value } });
    },
    async readKey(key) {
      const { user_metadata } = await client.users.get('me');
      return Number(user_metadata?.[key] ?? 0);
    },
  };
};

/** Types, a token and JSON: what a generated client does, and no more. */
export const plainClient: ClientOf = (baseUrl, storage) => {
  async function call<T>(method: string, path: string, body?: object): Promise<T> {
    const token = await storage.getItem('access_token');
    const answer = await fetch(`${baseUrl}${path}`, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status}`);
    return (await answer.json()) as T;
  }
  const metadata = async () =>
    (await call<{ user_metadata?: Record<string, number> }>('GET', '/api/users/me'))
      .user_metadata ?? {};
  return {
    async register(account) {
      const made = await call<{ access_token: string }>('POST', '/api/auth/register', account);
      await storage.setItem('access_token', made.access_token);
    },
    async setKey(key, value) {
      const user_metadata = { ...(await metadata()), [key]: value };
      await call('PATCH', '/api/users/me', { user_metadata });
    },
    readKey: async (key) => (await metadata())[key] ?? 0,
  };
};

export interface LoadFigures {
  readonly operations: number;
  readonly errors: number;
  readonly lostUpdates: number;
  readonly staleReads: number;
  /** Emails of the registrations that succeeded. */
  readonly registered: readonly string[];
  readonly slowestMs: number;
  readonly firstError: string | undefined;
}

export function createStorage(): TokenStorage {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
}

const GROUPS = 6;
const LANES = 3;
let made = 0;
const newAccount = (): Account => ({
  name: 'Ada',
  email: `ada-${process.pid}-${Date.now()}-${made++}@example.org`,
  password: 'correct horse battery',
});

/**
 * Users with three clients each, which share the session and change members of their own of one
 * object. Of ten operations six are such changes, three are reads that must show the client's last
 * change, and one registers an account.
 */
export async function runLoad(
  clientOf: ClientOf,
  url: string,
  directUrl: string,
  operations: number,
): Promise<LoadFigures> {
  const registered: string[] = [];
  let [done, errors, staleReads, slowestMs, lostUpdates] = [0, 0, 0, 0, 0];
  let firstError: string | undefined;

  async function counted(work: () => Promise<void>): Promise<boolean> {
    const began = performance.now();
    done += 1;
    try {
      await work();
      return true;
    } catch (error) {
      errors += 1;
      firstError ??= error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      return false;
    } finally {
      slowestMs = Math.max(slowestMs, performance.now() - began);
    }
  }

  async function lane(storage: TokenStorage, key: string): Promise<number> {
    const client = clientOf(url, storage);
    let acknowledged = 0;
    for (let value = 1; done < operations; value += 1) {
      const kind = value % 10;
      if (kind === 0) {
        const account = newAccount();
        const isDone = await counted(() => clientOf(url, createStorage()).register(account));
        if (isDone) registered.push(account.email);
      } else if (kind % 3 === 0) {
        await counted(async () => {
          if ((await client.readKey(key)) < acknowledged) staleReads += 1;
        });
      } else if (await counted(() => client.setKey(key, value))) acknowledged = value;
    }
    return acknowledged;
  }

  async function group(): Promise<void> {
    const storage = createStorage();
    // Past the proxy, so that the planted run begins too; its worker may be killed all the same.
    const isRegistered = await counted(() => clientOf(directUrl, storage).register(newAccount()));
    if (!isRegistered) return;
    const keys = Array.from({ length: LANES }, (_, n) => `lane${n}`);
    const values = await Promise.all(keys.map((key) => lane(storage, key)));
    const reader = clientOf(directUrl, storage);
    for (const [n, key] of keys.entries())
      if ((await reader.readKey(key).catch(() => -1)) < (values[n] ?? 0)) lostUpdates += 1;
  }

  await Promise.all(Array.from({ length: GROUPS }, group));
  slowestMs = Math.round(slowestMs);
  return { operations: done, errors, lostUpdates, staleReads, registered, slowestMs, firstError };
}
