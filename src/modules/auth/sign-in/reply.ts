import type { Reply } from '../../../platform/http/endpoint';
import { NO_STORE } from '../../../platform/http/no-store';
import { type DeliveredPair, headersOfPair } from '../sessions/token-pair';
import type { SignInResult } from './complete-sign-in';

interface ReplyOptions {
  /** Of a session that was opened; a demand for a factor is always 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members beside the tokens. */
  readonly more?: object;
}

/**
 * The answer of every route that signs in: a user and tokens, or the demand for a further factor.
 * The user's bytes come from the cache as they are: they are neither parsed nor serialized.
 */
export function signInReply(result: SignInResult, options: ReplyOptions = {}): Reply {
  const headers = { ...NO_STORE, ...options.headers };
  if (result.kind === 'mfa_required') {
    const { token: mfa_token, expiresInSeconds: expires_in, factors, enrollable } = result;
    const demand = { mfa_required: true, mfa_token, expires_in, factors };
    return { status: 200, headers, body: { ...demand, ...(enrollable && { enrollable }) } };
  }
  const { user, tokens } = result;
  const body = Buffer.concat([USER, user.body, pairMembers({ ...tokens, ...options.more })]);
  return {
    status: options.status ?? 200,
    headers: { ...headers, ...headersOfPair(tokens) },
    body,
  };
}

const USER = Buffer.from('{"user":');

/** The members of the pair and the brace that ends the answer. */
const pairMembers = (tokens: DeliveredPair): Buffer =>
  Buffer.from(`,${JSON.stringify(tokens).slice(1)}`);
