import type { Call, Caller } from './call.js';
import type { Deadline } from './deadline.js';
import { isProblem, problemOf } from './errors.js';
import type { Session } from './session.js';
import type { Answer, Body, CallOptions, PathOf, Schemas } from './types.js';

export type MfaRequired = Schemas['MfaRequired'];
/** Look at `mfa_required`: a session is open only where it is not set. */
export type SignInResult<T> = (T & { readonly mfa_required?: never }) | MfaRequired;
/** The client keeps the tokens to itself. */
type WithoutTokens<T> = Omit<
  T,
  'access_token' | 'refresh_token' | 'token_type' | 'expires_in' | 'mfa_required'
>;
type SignIn<P extends PathOf<'POST'>> = SignInResult<
  WithoutTokens<Exclude<Answer<'POST', P>, MfaRequired>>
>;

export interface Auth {
  register(
    body: Body<'POST', '/api/auth/register'>,
    options?: CallOptions,
  ): Promise<SignIn<'/api/auth/register'>>;
  login(
    body: Body<'POST', '/api/auth/login'>,
    options?: CallOptions,
  ): Promise<SignIn<'/api/auth/login'>>;
  /** With the `mfa_token` of a result with `mfa_required`. */
  verifyMfa(
    body: Body<'POST', '/api/auth/mfa/verify'>,
    options?: CallOptions,
  ): Promise<WithoutTokens<Schemas['SignedIn']>>;
  /** Ends this session, all others, or all. Succeeds where nobody is signed in. */
  logout(options?: CallOptions & { readonly scope?: 'local' | 'others' | 'global' }): Promise<void>;
  /** For a request that the client does not send itself, such as a WebSocket's. */
  accessToken(options?: CallOptions): Promise<string | undefined>;
  /** Takes over a session that was opened elsewhere, e.g. on a server. */
  adopt(tokens: { access_token: string; refresh_token?: string }): Promise<void>;
}

const SECRETS = ['access_token', 'refresh_token', 'token_type', 'expires_in'];

/** A sign-in's answer without what the session keeps. */
const shown = <T>(body: unknown): T =>
  ((body as Partial<MfaRequired>).mfa_required === true
    ? body
    : Object.fromEntries(
        Object.entries(body as object).filter(([name]) => !SECRETS.includes(name)),
      )) as T;

/**
 * A worker that dies between the new account and the storing of its answer leaves the account
 * behind, and the repeat is told that it is taken: by this call, if its password opens it.
 */
async function registered(
  caller: Caller,
  deadline: Deadline,
  body: Body<'POST', '/api/auth/register'>,
  options: CallOptions,
): Promise<unknown> {
  const call = { ...options, method: 'POST' } as const;
  const made = await caller.run({ ...call, template: '/api/auth/register', body }, deadline, [409]);
  if (made.status !== 409) return made.body;
  const problem = problemOf(409, JSON.stringify(made.body), made.headers);
  if (!made.isRepeated || !isProblem(problem, 'email_taken')) throw problem;
  const { email, password } = body;
  const login: Call = { ...call, template: '/api/auth/login', body: { email, password } };
  const opened = await caller.run({ ...login, isRepeatable: true }, deadline).catch(() => {
    throw problem;
  });
  return opened.body;
}

export function createAuth(caller: Caller, session: Session): Auth {
  async function signIn<T>(template: string, body: unknown, options: CallOptions = {}): Promise<T> {
    const call: Call = { ...options, method: 'POST', template, body };
    const answer = await caller.within(options, (deadline) => caller.run(call, deadline));
    return shown<T>(answer.body);
  }

  return {
    register: async (body, options = {}) =>
      shown(
        await caller.within(options, (deadline) => registered(caller, deadline, body, options)),
      ),
    login: (body, options) => signIn('/api/auth/login', body, options),
    verifyMfa: (body, options) => signIn('/api/auth/mfa/verify', body, options),
    async logout({ scope = 'local', ...options } = {}) {
      const call: Call = {
        ...{ ...options, method: 'POST', template: '/api/auth/logout', query: { scope } },
        isRepeatable: true,
      };
      try {
        await caller.within(options, (deadline) => caller.run(call, deadline));
      } catch (error) {
        // The session has ended before, or by an attempt that had no answer.
        if (!isProblem(error, 'missing_token', 'invalid_token', 'token_expired')) throw error;
      }
      if (scope !== 'others') await session.clear();
    },
    accessToken: (options = {}) => caller.within(options, (deadline) => session.token(deadline)),
    adopt: (tokens) => session.adopt(tokens),
  };
}
