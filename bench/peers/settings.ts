/** What every contestant is told. Given as the first argument, so that no peer reads the environment. */
export interface PeerSettings {
  readonly port: number;
  /** For a contestant with a second, private port. */
  readonly opsPort: number;
  readonly mongodbUri: string;
  readonly redisUrl: string;
  readonly jwtSecret: string;
}

export const peerSettings = (): PeerSettings => JSON.parse(process.argv[2] ?? '{}') as PeerSettings;

/** A user as stored (the fields that every contestant knows) and as answered. */
export interface UserDocument {
  readonly name: string;
  readonly email: string;
  readonly role: string;
  readonly passwordHash: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export function view(id: string, user: UserDocument) {
  const { name, email, role, createdAt, updatedAt } = user;
  return { id, name, email, role, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}

export const CACHE_SECONDS = 300;
export const BCRYPT_COST = 10;
