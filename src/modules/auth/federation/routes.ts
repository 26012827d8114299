import type { Request, RequestHandler } from 'express';
import type { z } from 'zod';
import { clientOf } from '../../../platform/http/client-info';
import { type Reply, type Route, route } from '../../../platform/http/endpoint';
import { NO_STORE } from '../../../platform/http/no-store';
import { principalOf } from '../principal';
import { currentSession } from '../sessions/routes';
import { signInReply } from '../sign-in/reply';
import { federationEndpoints } from './contract';
import type { FederatedSignIn, Redirect } from './federated-sign-in';
import type { Identity } from './identities';
import type { Linking } from './linking';
import { refusedPage, refusedRedirect } from './problems';

export interface FederationRoutesDependencies {
  readonly signIn: FederatedSignIn;
  readonly linking: Linking;
  /** The URL of the service as clients see it, without a slash at the end. */
  readonly baseUrl: string;
  /** The pages to which a sign-in may return. */
  readonly redirectUrls: readonly string[];
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  /** The body of a sign-in. */
  readonly signInAnswer: z.ZodType;
  readonly limiter: RequestHandler;
}

export function createFederationRoutes(deps: FederationRoutesDependencies): Route[] {
  const { signIn, linking, baseUrl, assertRecentLogin, limiter } = deps;
  const endpoints = federationEndpoints(deps.signInAnswer);
  /** Exactly: no prefix, no other letter case, nothing that a URL parser would repair. */
  const isPage = (url: string) => deps.redirectUrls.includes(url);
  return [
    route(endpoints.list, () => ({ status: 200, body: { data: signIn.list() } })),
    route(
      endpoints.start,
      async ({ params: { provider }, query }, req) => {
        const { cookie } = req.headers;
        const client = clientOf(req);
        if (query.ticket !== undefined)
          return redirectTo(await signIn.startByTicket(provider, query.ticket, cookie, client));
        const { redirect_to: page = '', code_challenge: challenge = '' } = query;
        signIn.provider(provider);
        if (!isPage(page)) throw refusedRedirect();
        const journey = { provider, redirectTo: page, challenge };
        return redirectTo(await signIn.start(journey, cookie, client));
      },
      limiter,
    ),
    route(
      endpoints.callback,
      async ({ params: { provider }, query }, req) => {
        const { code, state, iss, error, error_description: description } = query;
        const answer = present({ code, state, iss, error, error_description: description });
        return redirectTo(
          await signIn.callback(provider, answer, req.headers.cookie, clientOf(req)),
        );
      },
      limiter,
    ),
    route(
      endpoints.redeem,
      async ({ body }, req) =>
        signInReply(await signIn.redeem(body.code, body.code_verifier, clientOf(req))),
      limiter,
    ),
    route(endpoints.identities, async (_input, req) => ({
      status: 200,
      headers: NO_STORE,
      body: { data: (await linking.list(principalOf(req).userId)).map(viewOf) },
    })),
    route(
      endpoints.begin,
      async ({ params: { provider }, body }, req) => {
        await assertRecentLogin(req);
        signIn.provider(provider);
        const { redirect_to: page, code_challenge: challenge } = body;
        if (!isPage(page)) throw refusedPage();
        const journey = { provider, redirectTo: page, challenge };
        const { ticket, expiresInSeconds } = await linking.begin(currentSession(req), journey);
        const url = `${baseUrl}/api/auth/oidc/${provider}/start?ticket=${ticket}`;
        return { status: 200, headers: NO_STORE, body: { url, expires_in: expiresInSeconds } };
      },
      limiter,
    ),
    route(
      endpoints.link,
      async ({ body: { code, code_verifier: verifier } }, req) => {
        await assertRecentLogin(req);
        const linked = await linking.link(currentSession(req), code, verifier, clientOf(req));
        return { status: 201, headers: NO_STORE, body: viewOf(linked) };
      },
      limiter,
    ),
    route(endpoints.unlink, async ({ params: { id } }, req) => {
      await assertRecentLogin(req);
      await linking.unlink(currentSession(req), id, clientOf(req));
      return { status: 204 };
    }),
  ];
}

const redirectTo = ({ location, cookie }: Redirect): Reply => ({
  status: 303,
  headers: {
    ...NO_STORE,
    Location: location,
    ...(cookie === undefined ? {} : { 'Set-Cookie': cookie }),
  },
});

/** The members that the provider has sent. */
const present = <T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;

const viewOf = ({ id, provider, email, createdAt, lastUsedAt }: Identity) => ({
  id,
  provider,
  email,
  created_at: createdAt.toISOString(),
  last_used_at: lastUsedAt?.toISOString() ?? null,
});
