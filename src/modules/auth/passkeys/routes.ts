import type { RequestHandler } from 'express';
import { clientOf } from '../../../platform/http/client-info';
import { type Route, route } from '../../../platform/http/endpoint';
import { NO_STORE } from '../../../platform/http/no-store';
import { userOf } from '../authenticate';
import { principalOf } from '../principal';
import { currentSession } from '../sessions/routes';
import { headersOfPair } from '../sessions/token-pair';
import { signInReply } from '../sign-in/reply';
import type { UsersPort } from '../users-port';
import { passkeyEndpoints, passkeyViewOf } from './contract';
import type { Passkeys } from './passkeys';

export interface PasskeyRoutesDependencies {
  readonly passkeys: Passkeys;
  readonly users: Pick<UsersPort, 'view'>;
  readonly limiter: RequestHandler;
}

export function createPasskeyRoutes({
  passkeys,
  users,
  limiter,
}: PasskeyRoutesDependencies): Route[] {
  const endpoints = passkeyEndpoints(users);
  const answer = (body: object, status = 200, headers = {}) => ({
    status,
    headers: { ...NO_STORE, ...headers },
    body,
  });
  return [
    route(endpoints.list, async (_input, req) => {
      const holder = await passkeys.list(principalOf(req).userId);
      return answer({
        data: holder?.passkeys.map(passkeyViewOf) ?? [],
        rp_id: passkeys.rpId ?? null,
        user_handle: holder?.handle ?? null,
      });
    }),
    route(
      endpoints.beginRegistration,
      async (_input, req) =>
        answer({ public_key: await passkeys.beginRegistration(currentSession(req), userOf(req)) }),
      limiter,
    ),
    route(
      endpoints.finishRegistration,
      async ({ body }, req) => {
        const { passkey, tokens, recoveryCodes } = await passkeys.finishRegistration(
          currentSession(req),
          userOf(req),
          body,
          clientOf(req),
        );
        const shown = { ...tokens, passkey: passkeyViewOf(passkey) };
        return answer({ ...shown, ...(recoveryCodes && { recovery_codes: recoveryCodes }) }, 201, {
          Location: `/api/auth/passkeys/${passkey.id}`,
          ...headersOfPair(tokens),
        });
      },
      limiter,
    ),
    route(
      endpoints.beginSecondFactor,
      async ({ body }, req) =>
        answer({ public_key: await passkeys.beginSecondFactor(body.mfa_token, clientOf(req)) }),
      limiter,
    ),
    route(
      endpoints.beginStepUp,
      async (_input, req) =>
        answer({ public_key: await passkeys.beginStepUp(currentSession(req)) }),
      limiter,
    ),
    route(
      endpoints.beginSignIn,
      async (_input, req) => answer({ public_key: await passkeys.beginSignIn(clientOf(req)) }),
      limiter,
    ),
    route(
      endpoints.finishSignIn,
      async ({ body }, req) => signInReply(await passkeys.signIn(body.credential, clientOf(req))),
      limiter,
    ),
    // After the paths that would be ids to them.
    route(endpoints.rename, async ({ params: { id }, body: { name } }, req) =>
      answer(passkeyViewOf(await passkeys.rename(currentSession(req), id, name, clientOf(req)))),
    ),
    route(endpoints.remove, async ({ params: { id } }, req) => {
      await passkeys.remove(currentSession(req), userOf(req), id, clientOf(req));
      return { status: 204 };
    }),
  ];
}
