import type { Connection } from 'mongoose';
import type { Config } from '../../../src/kernel/config/config';
import { connectKeys } from '../../../src/modules/auth';
import { createSessionOpener } from '../../../src/modules/auth/sessions/open-session';
import type { SessionRow } from '../../../src/modules/auth/sessions/session-row';
import {
  SESSIONS_COLLECTION,
  type SessionStore,
} from '../../../src/modules/auth/sessions/session-store';
import { tokenSettings } from '../../../src/modules/auth/settings';
import { createTokens, type Tokens } from '../../../src/modules/auth/tokens/tokens';
import { USERS_COLLECTION, type UserDocument } from '../../../src/modules/users/model';
import { NO_CLIENT } from '../../../src/platform/http/client-info';
import type { Database } from '../../../src/platform/mongo/connection';
import type { Logger } from '../../../src/platform/telemetry/logger';
import type { TestUser } from '../scenarios';
import { seededRange } from './seed';
import { numberOf } from './users';

const BATCH = 2000;
/** Tokens outlive the test by this. */
const SPARE_SECONDS = 300;
const CLIENT = { ...NO_CLIENT, userAgent: 'loadtest', ipPrefix: '127.0.0.0/24' };

export interface Minted {
  readonly users: readonly TestUser[];
  /** Removes the sessions. */
  remove(): Promise<void>;
}

export interface MintOptions {
  readonly config: Config;
  readonly database: Database;
  readonly log: Logger;
  readonly count: number;
  readonly durationSeconds: number;
}

/**
 * Opens a session for each of the first `count` seeded users, as a login does, without the login.
 */
export async function mintSessions(options: MintOptions): Promise<Minted> {
  const { config, database, log } = options;
  const { connection, clock } = database;
  const keys = await connectKeys({ config, connection, log, now: clock.now });
  if ('learn' in keys) {
    await keys.close();
    throw new Error(
      'These settings verify tokens of another service (JWKS_URL) and cannot sign: use those of the service that issues them.',
    );
  }
  try {
    const settings = tokenSettings(config);
    const ttlSeconds = Math.max(settings.ttlSeconds, options.durationSeconds + SPARE_SECONDS);
    const tokens = createTokens({ ...settings, ttlSeconds, keys, now: clock.now });
    const rows: SessionRow[] = [];
    const open = sessionOpener(options, tokens, rows);
    const found = await firstUsers(connection, options.count);
    const users: TestUser[] = [];
    for (const document of found) users.push(await open(document));
    await insert(connection, rows);
    return { users, remove: () => remove(connection, rows) };
  } finally {
    await keys.close();
  }
}

type Seeded = Pick<UserDocument, '_id' | 'role' | 'sessionVersion' | 'rev'>;

const firstUsers = (connection: Connection, count: number): Promise<Seeded[]> =>
  connection
    .collection<UserDocument>(USERS_COLLECTION)
    .find({ _id: seededRange }, { projection: { role: 1, sessionVersion: 1, rev: 1 } })
    .sort({ _id: 1 })
    .limit(count)
    .toArray();

/** A dependency of which opening a session calls these members alone. */
const only = <T extends object>(members: Partial<T>): T =>
  new Proxy(members as T, {
    get(target, name) {
      if (name in target) return Reflect.get(target, name);
      throw new Error(`opening a session called ${String(name)}`);
    },
  });

/** The service's own opener, whose rows are collected and stored in batches. */
function sessionOpener(
  { config, database }: MintOptions,
  tokens: Tokens,
  rows: SessionRow[],
): (user: Seeded) => Promise<TestUser> {
  const openSession = createSessionOpener({
    store: only<SessionStore>({
      insert: async (row) => void rows.push(row),
      ofUser: async () => [],
    }),
    tokens,
    ender: only({}),
    emit: () => {},
    backgroundQueue: only({}),
    settings: config.sessions,
    now: database.clock.now,
  });
  return async ({ _id, role, sessionVersion, rev }) => {
    const id = _id.toHexString();
    const etag = `"${id}.${rev}.0"`;
    const account = {
      ...{ id, role, sessionVersion, etag, emailVerified: true, status: 'active' as const },
      ...{ kept: null, revoked: [], body: Buffer.from('{}') },
    };
    const pair = await openSession(account, CLIENT, { amr: ['pwd'] });
    if (!('refresh_token' in pair)) throw new Error('a session without a refresh token');
    const { access_token: accessToken, refresh_token: refreshToken } = pair;
    return { id, n: numberOf(id), etag, accessToken, refreshToken };
  };
}

async function insert(connection: Connection, rows: readonly SessionRow[]): Promise<void> {
  const sessions = connection.collection<SessionRow>(SESSIONS_COLLECTION);
  for (let from = 0; from < rows.length; from += BATCH)
    await sessions.insertMany(rows.slice(from, from + BATCH), { ordered: false });
}

async function remove(connection: Connection, rows: readonly SessionRow[]): Promise<void> {
  const sessions = connection.collection<SessionRow>(SESSIONS_COLLECTION);
  for (let from = 0; from < rows.length; from += BATCH) {
    const ids = rows.slice(from, from + BATCH).map(({ _id }) => _id);
    await sessions.deleteMany({ _id: { $in: ids } });
  }
}
