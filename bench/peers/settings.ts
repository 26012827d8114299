/**
 * The settings of every contestant. Passed as the first argument, so that no peer reads the
 * environment.
 */
export interface PeerSettings {
  readonly port: number;
  /** For a contestant with a second, private port. */
  readonly opsPort: number;
  readonly mongodbUri: string;
  readonly redisUrl: string;
  readonly jwtSecret: string;
  /** Whether node-redis may bound each command by a timer, as it does by default. */
  readonly redisCommandTimers?: boolean;
  /** How bare workers share a port. */
  readonly sharing?: 'round-robin' | 'one-socket' | 'reuse-port';
  readonly workers?: number;
  /** Whether the messages are made by our constructors. */
  readonly constructors?: boolean;
}

export const peerSettings = (): PeerSettings => JSON.parse(process.argv[2] ?? '{}') as PeerSettings;

/**
 * A user as this service stores it; the peers keep to that form, so that all work on the same
 * collection and indexes.
 */
export interface UserDocument {
  readonly name: string;
  readonly nameKey: string;
  readonly email: string;
  readonly emailKey: string;
  readonly emailVerified: boolean;
  readonly role: string;
  readonly status: string;
  readonly passwordHash: string;
  readonly rev: number;
  readonly sessionVersion: number;
  readonly revokedSessions: readonly never[];
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export function newUser(given: {
  name: string;
  email: string;
  role: string;
  passwordHash: string;
  at: Date;
}): UserDocument {
  const { name, email, role, passwordHash, at } = given;
  const keys = { nameKey: name.toLowerCase(), emailKey: email.toLowerCase() };
  const state = {
    emailVerified: false,
    status: 'active',
    rev: 1,
    sessionVersion: 0,
    revokedSessions: [],
    createdAt: at,
    updatedAt: at,
  };
  return { name, email, role, passwordHash, ...keys, ...state };
}

export function view(id: string, user: UserDocument) {
  const { name, email, emailVerified, role, createdAt, updatedAt } = user;
  const times = { created_at: createdAt.toISOString(), updated_at: updatedAt.toISOString() };
  const metadata = { external_id: null, user_metadata: {}, app_metadata: {} };
  const state = { email_verified: emailVerified, role, status: 'active', ...metadata };
  return { id, name, email, ...state, ...times, last_login_at: null };
}

export const CACHE_SECONDS = 300;
export const BCRYPT_COST = 10;
