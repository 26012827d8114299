import { randomBytes } from 'node:crypto';

/**
 * Absent members get values that are different each time. Values that the service would not accept
 * are refused.
 */
export interface NewUser {
  readonly name?: string;
  readonly email?: string;
  readonly password?: string;
  /** `user` unless given. */
  readonly role?: string;
  readonly email_verified?: boolean;
}

export interface TestUser extends Required<NewUser> {
  readonly id: string;
}

/** The response of a login, and the header to send. */
export interface Session {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly headers: { readonly authorization: string };
}

export interface SignIn {
  createUser(user?: NewUser): Promise<TestUser>;
  /** Logs in by password, through the public route. */
  signIn(user: Pick<TestUser, 'email' | 'password'>): Promise<Session>;
  /** The access token of a new session. */
  tokenOf(user: Pick<TestUser, 'email' | 'password'>): Promise<string>;
}

const REQUEST_TIMEOUT_MS = 10_000;

export function createSignIn(
  url: string,
  create: (user: Required<NewUser>) => Promise<string>,
): SignIn {
  async function signIn({ email, password }: Pick<TestUser, 'email' | 'password'>) {
    const response = await fetch(`${url}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password }),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    const body = await response.text();
    if (!response.ok) throw new Error(`the login of ${email} got ${response.status}: ${body}`);
    const pair = JSON.parse(body) as Omit<Session, 'headers'>;
    if (typeof pair.access_token !== 'string')
      throw new Error(`the login of ${email} asks for another step: ${body}`);
    return { ...pair, headers: { authorization: `Bearer ${pair.access_token}` } };
  }
  return {
    signIn,
    tokenOf: async (user) => (await signIn(user)).access_token,
    async createUser(given = {}) {
      const mark = randomBytes(6).toString('hex');
      const user = {
        ...{ name: 'Test User', email: `user-${mark}@example.org`, password: `Password ${mark}` },
        ...{ role: 'user', email_verified: true },
        // As it is left out, where the test has no exact types for members that may be absent.
        ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
      };
      return { ...user, id: await create(user) };
    },
  };
}
