import { type Connection, Types } from 'mongoose';
import { sha256 } from '../../src/kernel/crypto/digest';
import { randomToken } from '../../src/kernel/crypto/random';
import { createMailedCodes } from '../../src/modules/auth/email-sign-in/mailed-codes';
import { createIdentities } from '../../src/modules/auth/federation/identities';
import { createSteps } from '../../src/modules/auth/federation/steps';
import { createOneTimeTokens, type Purpose } from '../../src/modules/auth/recovery/one-time-tokens';
import { USERS_COLLECTION } from '../../src/modules/users/model';

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly token?: string;
  /** A string is sent as NDJSON, anything else as JSON. */
  readonly body?: unknown;
  /** Sent as application/x-www-form-urlencoded, instead of `body`. */
  readonly form?: Readonly<Record<string, string>>;
}

interface Account {
  readonly n: number;
  readonly id: string;
  readonly email: string;
}

interface SignedIn extends Account {
  readonly token: string;
  readonly refreshToken: string;
}

/** A service with its users: what the workloads make their requests of. */
export interface World {
  readonly url: string;
  /** Users in the database. */
  readonly users: number;
  /** Of every seeded user. */
  readonly password: string;
  readonly admin: SignedIn;
  readonly serviceAccount: { readonly id: string; readonly secret: string };
  /** Some routes ask for a recent login of the administrator. */
  renewAdmin(): Promise<void>;
  /** A user that no other request has had, anywhere in the collection. */
  next(): Account;
  signIn(account?: Account): Promise<SignedIn>;
  /** A token as the mail has it. */
  mailedToken(purpose: Purpose, account: Pick<Account, 'id' | 'email'>): Promise<string>;
  /** A sign-in that waits for this code. */
  pendingSignIn(account: Pick<Account, 'id' | 'email'>): Promise<{ token: string; code: string }>;
  /** An identity of the account at a provider; resolves with its id. */
  identity(userId: string): Promise<string>;
  /** The code of a page by which the identity signs in, for this verifier. */
  providerCode(account: Pick<Account, 'id' | 'email'>, verifier: string): Promise<string>;
  /** Sends a request that is not measured. Throws unless it succeeds. */
  call<T>(call: Call): Promise<T>;
  /** For what is unique: counts up. */
  count(): number;
}

export interface WorldOptions {
  readonly url: string;
  readonly connection: Connection;
  readonly users: number;
  /** User 0 is an administrator. */
  readonly emailOf: (n: number) => string;
  readonly idOf: (n: number) => string;
  readonly password: string;
}

const AT_PROVIDER = { provider: 'example', issuer: 'https://login.example' } as const;

/** The users are visited in an order that leaps through the collection. */
const LEAP = 7919;

export async function openWorld(options: WorldOptions): Promise<World> {
  const { url, users, connection, emailOf, idOf, password } = options;
  const tokens = createOneTimeTokens(connection, { timeoutMs: 5000 });
  const pending = createMailedCodes(connection, { timeoutMs: 5000 });
  const identities = createIdentities(connection, { timeoutMs: 5000, now: Date.now });
  const steps = createSteps(connection, { timeoutMs: 5000 });
  let visited = 0;
  let counted = 0;
  const account = (n: number): Account => ({ n, id: idOf(n), email: emailOf(n) });
  const call = async <T>(one: Call): Promise<T> => {
    const { status, text } = await send(url, one);
    if (status >= 400) throw new Error(`${one.method} ${one.path}: ${status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  };
  const next = (): Account => {
    visited += 1;
    return account(1 + ((visited * LEAP) % (users - 1)));
  };
  const verified = { emailVerified: true };
  const signIn = async (who = next()): Promise<SignedIn> => {
    const body = { email: who.email, password };
    const pair = await call<{ access_token: string; refresh_token: string }>({
      ...{ method: 'POST', path: '/api/auth/login', body },
    });
    return { ...who, token: pair.access_token, refreshToken: pair.refresh_token };
  };
  let admin = await signIn(account(0));
  const made = await call<{ id: string; client_secret: string }>({
    ...{ method: 'POST', path: '/api/service-accounts', token: admin.token },
    body: { name: 'Ratio', scopes: ['users:read', 'tokens:introspect'] },
  });
  return {
    url,
    users,
    password,
    get admin() {
      return admin;
    },
    async renewAdmin() {
      admin = await signIn(account(0));
    },
    serviceAccount: { id: made.id, secret: made.client_secret },
    next,
    signIn,
    call,
    async mailedToken(purpose, { id: userId, email }) {
      const user = await connection
        .collection(USERS_COLLECTION)
        .findOne({ _id: new Types.ObjectId(userId) });
      const replaces = sha256(String(user?.['passwordHash']));
      return tokens.issue({ purpose, userId, email, accountEmail: email, replaces }, 3600);
    },
    async pendingSignIn({ id: userId, email }) {
      const token = randomToken(32);
      // Only a verified address signs in.
      const user = await connection
        .collection(USERS_COLLECTION)
        .findOneAndUpdate({ _id: new Types.ObjectId(userId) }, { $set: verified });
      const sessionVersion = Number(user?.['sessionVersion']);
      const code = await pending.issue(token, { userId, email, sessionVersion }, 3600);
      return { token, code };
    },
    async identity(userId) {
      const subject = randomToken(16);
      const { id = '' } =
        (await identities.insert({ ...AT_PROVIDER, subject, userId, email: null })) ?? {};
      return id;
    },
    async providerCode({ id: userId, email }, verifier) {
      const subject = randomToken(16);
      await identities.insert({ ...AT_PROVIDER, subject, userId, email });
      return steps.issue('code', {
        ...{ provider: AT_PROVIDER.provider, redirectTo: '', challenge: sha256(verifier) },
        claims: { issuer: AT_PROVIDER.issuer, subject, email, emailVerified: true, name: null },
      });
    },
    count: () => {
      counted += 1;
      return counted;
    },
  };
}

export interface Sent {
  readonly status: number;
  readonly text: string;
  readonly ms: number;
}

/** From the request to the last byte of the answer. */
export async function send(url: string, call: Call): Promise<Sent> {
  const { method, path, token, body, form } = call;
  const type =
    form !== undefined
      ? 'application/x-www-form-urlencoded'
      : typeof body === 'string'
        ? 'application/x-ndjson'
        : body && 'application/json';
  const payload = form !== undefined ? new URLSearchParams(form).toString() : body;
  const began = performance.now();
  const response = await fetch(url + path, {
    method,
    redirect: 'manual',
    signal: AbortSignal.timeout(30_000),
    headers: {
      ...(type === undefined ? {} : { 'content-type': String(type) }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(payload === undefined
      ? {}
      : { body: typeof payload === 'string' ? payload : JSON.stringify(payload) }),
  });
  const text = await response.text();
  return { status: response.status, text, ms: performance.now() - began };
}
