import type { Problem } from '../../../kernel/errors';
import { TimeoutError } from '../../../kernel/lifecycle';
import { invalidProviderAnswer, providerUnavailable, refusedByProvider } from './problems';

/** Of the errors of openid-client. The library is not loaded here: names tell them apart. */
interface ClientFault {
  readonly name?: string;
  readonly code?: string;
  /** `error` of RFC 6749. */
  readonly error?: string;
  readonly status?: number;
  readonly cause?: unknown;
}

const UNAVAILABLE = new Set(['OAUTH_TIMEOUT', 'OAUTH_ABORT']);
/** RFC 6749 §4.1.2.1: the provider itself failed. */
const FAILED = new Set(['server_error', 'temporarily_unavailable']);

/** The problem of an error in the talk with a provider. */
export function problemOf(error: unknown): Problem {
  const { name, code = '', error: oauthError = '' } = error as ClientFault;
  if (error instanceof TimeoutError || UNAVAILABLE.has(code)) return providerUnavailable(error);
  if (name === 'AuthorizationResponseError')
    return FAILED.has(oauthError) ? providerUnavailable(error) : refusedByProvider(error);
  const status = statusOf(error as ClientFault);
  if (status >= 500 || status === 429) return providerUnavailable(error);
  return isNetworkError(error as ClientFault)
    ? providerUnavailable(error)
    : invalidProviderAnswer(error);
}

/** A fault of the connection: `fetch` wraps it. */
function isNetworkError(error: ClientFault): boolean {
  const { cause } = error;
  if (error.name === 'TypeError' && (error as Error).message === 'fetch failed') return true;
  return (
    typeof cause === 'object' &&
    cause !== null &&
    cause !== error &&
    isNetworkError(cause as ClientFault)
  );
}

/** Of the response that an error rests on; 0: none. */
function statusOf({ status, cause }: ClientFault): number {
  if (typeof status === 'number') return status;
  return cause instanceof Response ? cause.status : 0;
}

/** For the log: texts of this process, and of the provider's answer at most its error code. */
export function reasonOf(error: unknown): string {
  const reasons: string[] = [];
  for (let one = error; reasons.length < 4 && one instanceof Error; one = one.cause) {
    const { code, error: oauthError } = one as ClientFault;
    const text = oauthError === undefined ? one.message : `${one.name} ${oauthError}`;
    reasons.push(code === undefined ? text : `${text} (${code})`);
  }
  return reasons.join(': ').slice(0, 300);
}
