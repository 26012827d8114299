import type { Request } from 'express';
import { Problem, problems } from '../../../kernel/errors';
import { clientOf } from '../../../platform/http/client-info';
import type { Reply } from '../../../platform/http/endpoint';
import { NO_STORE } from '../../../platform/http/no-store';
import type { Dpop } from '../dpop/dpop';
import { invalidRefreshToken } from '../problems';
import type { RefreshSession } from '../sessions/refresh-session';
import type { TokenPair } from '../sessions/token-pair';
import type { PageOrigins } from './page-origin';
import { NO_REFRESH_COOKIE, refreshCookie } from './refresh-cookie';

export interface RefreshDependencies {
  readonly refresh: RefreshSession;
  readonly pages: PageOrigins;
  readonly dpop: Dpop;
  readonly cookieSeconds: number;
}

/** The handler of a refresh: by the token in the body, else by the one in the cookie. */
export function createRefresh({ refresh, pages, dpop, cookieSeconds }: RefreshDependencies) {
  return async (given: string | undefined, req: Request): Promise<Reply> => {
    const proof = dpop.proofOf(req);
    if (given !== undefined) {
      const body = await refresh({ text: given, inCookie: false, proof }, clientOf(req));
      return { status: 200, headers: NO_STORE, body };
    }
    const text = pages.cookieOf(req);
    if (text === undefined) throw pages.isFromPage(req) ? invalidRefreshToken() : tokenRequired();
    const pair = await clearingCookie(() =>
      refresh({ text, inCookie: true, proof }, clientOf(req)),
    );
    // The same bytes for a repeat within the grace window, and so the same cookie.
    const { refresh_token, ...body } = JSON.parse(pair.toString('utf8')) as TokenPair;
    const cookie = refreshCookie(refresh_token, cookieSeconds);
    return { status: 200, headers: { ...NO_STORE, ...cookie }, body };
  };
}

export type Refresh = ReturnType<typeof createRefresh>;

const tokenRequired = () =>
  problems.invalid([{ pointer: '/refresh_token', code: 'required', message: 'is required' }]);

/** A cookie that `work` refuses with 401 is removed with the answer. */
export async function clearingCookie<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 401) throw error;
    const { status, code, title, message: detail, headers } = error;
    throw new Problem(status, code, title, {
      detail,
      headers: { ...headers, ...NO_REFRESH_COOKIE },
    });
  }
}
