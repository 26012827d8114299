import type { Call, Caller } from './call.js';
import type { Deadline } from './deadline.js';
import { ClientError, isProblem, problemOf } from './errors.js';
import type { Session } from './session.js';
import { isTokens } from './tokens.js';
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

type Scope = 'local' | 'others' | 'global';

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
  /**
   * Ends this session, all others, or all, and resolves when their tokens are accepted nowhere.
   * `local`, the default, succeeds where nobody is signed in.
   */
  logout(options?: CallOptions & { readonly scope?: Scope }): Promise<void>;
  /** For a request that the client does not send itself, such as a WebSocket's. */
  accessToken(options?: CallOptions): Promise<string | undefined>;
  /** Takes over a session that was opened elsewhere, e.g. on a server. */
  adopt(tokens: { access_token: string; refresh_token?: string }): Promise<void>;
}

const SECRETS = ['access_token', 'refresh_token', 'token_type', 'expires_in'];

/** A sign-in's answer without what the session keeps. */
function shown<T>(body: unknown): T {
  if ((body as Partial<MfaRequired> | undefined)?.mfa_required === true) return body as T;
  if (!isTokens(body)) throw new ClientError('network', 'The answer is not of the service.');
  const members = Object.entries(body).filter(([name]) => !SECRETS.includes(name));
  return Object.fromEntries(members) as T;
}

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

/** A refused logout means: this session has ended, by an earlier attempt or by others. */
const hasEnded: Readonly<Record<Scope, (isRepeated: boolean) => boolean>> = {
  local: () => true,
  others: () => false,
  global: (isRepeated) => isRepeated,
};

/** Resolves when no token of the ended sessions is accepted any more, also by verifiers. */
function createLogout(caller: Caller, session: Session) {
  /**
   * A logout that an earlier call could not confirm; the client may have lost its session since.
   */
  let unconfirmed: { readonly token: string; readonly scope: Scope } | undefined;

  return async (scope: Scope, options: CallOptions, deadline: Deadline): Promise<void> => {
    const call = { ...options, method: 'POST', isRepeatable: true } as const;
    const token = (await session.token(deadline)) ?? unconfirmed?.token;
    if (token === undefined && scope === 'local') return;
    const isAgain = unconfirmed?.token === token && unconfirmed?.scope === scope;
    if (token !== undefined) unconfirmed = { token, scope };
    const logout: Call = { ...call, template: '/api/auth/logout', query: { scope } };
    const { status, body, headers, isRepeated } = await caller.run(logout, deadline, [401]);
    if (status === 401) {
      const problem = problemOf(401, JSON.stringify(body), headers);
      const isOver = isProblem(problem, 'missing_token', 'invalid_token', 'token_expired');
      const has = token !== undefined && isOver && hasEnded[scope](isRepeated || isAgain);
      if (!has) throw problem;
      await caller.run({ ...call, template: '/api/auth/revoke', body: { token } }, deadline);
    }
    unconfirmed = undefined;
  };
}

export function createAuth(caller: Caller, session: Session): Auth {
  const end = createLogout(caller, session);

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
      await caller.within(options, (deadline) => end(scope, options, deadline));
      if (scope !== 'others') await session.clear();
    },
    accessToken: (options = {}) => caller.within(options, (deadline) => session.token(deadline)),
    adopt: (tokens) => session.adopt(tokens),
  };
}
