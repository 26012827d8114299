import type { Request, RequestHandler } from 'express';
import { clientOf } from '../../../platform/http/client-info';
import { type Route, route } from '../../../platform/http/endpoint';
import { NO_STORE } from '../../../platform/http/no-store';
import { userOf } from '../authenticate';
import { currentSession } from '../sessions/routes';
import { type DeliveredPair, headersOfPair } from '../sessions/token-pair';
import { signInReply } from '../sign-in/reply';
import type { UsersPort } from '../users-port';
import { factorEndpoints } from './contract';
import type { EnrolledFactor, FactorKind } from './factor-kinds';
import type { OwnFactors } from './own-factors';
import type { TotpEnrollment } from './totp';
import type { CodesShown, OfferedFactor, VerifyFactor } from './verify-factor';

export interface FactorRoutesDependencies {
  readonly kinds: readonly FactorKind[];
  readonly verifier: VerifyFactor;
  readonly factors: OwnFactors;
  readonly users: Pick<UsersPort, 'view'>;
  /** Codes can be guessed here. */
  readonly limiter: RequestHandler;
}

const APP = 'Authenticator app';

const codesOf = ({ recoveryCodes, codesLeft }: CodesShown) => ({
  ...(recoveryCodes && { recovery_codes: recoveryCodes }),
  ...(codesLeft !== undefined && { recovery_codes_left: codesLeft }),
});

const viewOf = ({ id, kind, name, createdAt, lastUsedAt, remaining }: EnrolledFactor) => ({
  ...{ id, kind, name, created_at: createdAt.toISOString() },
  last_used_at: lastUsedAt?.toISOString() ?? null,
  ...(remaining !== undefined && { remaining }),
});

const enrollmentView = ({ id, secret, uri, qrSvg, expiresInSeconds }: TotpEnrollment) => ({
  ...{ id, secret, otpauth_uri: uri, qr_svg: qrSvg, expires_in: expiresInSeconds },
});

function offeredIn<T extends { factor: string }>({ factor, ...input }: T): OfferedFactor {
  return { kind: factor, input };
}

export function createFactorRoutes(deps: FactorRoutesDependencies): Route[] {
  const { kinds, verifier, factors, users, limiter } = deps;
  const endpoints = factorEndpoints(kinds, users);
  const sent = (status: number, body: object) => ({ status, headers: NO_STORE, body });

  const renewed = (tokens: DeliveredPair, codes: CodesShown) => ({
    status: 200,
    headers: { ...NO_STORE, ...headersOfPair(tokens) },
    body: { ...tokens, ...codesOf(codes) },
  });

  /**
   * A stolen access token is not enough: the login was recent, and with a factor if there is one.
   */
  async function assertMayChange(req: Request): Promise<void> {
    await factors.assertMayChange(currentSession(req), userOf(req).role);
  }

  return [
    route(
      endpoints.verify,
      async ({ body: { mfa_token, ...offered } }, req) => {
        const result = await verifier.signIn(mfa_token, offeredIn(offered), clientOf(req));
        return signInReply(result, { more: codesOf(result) });
      },
      limiter,
    ),
    route(
      endpoints.enrolAtSignIn,
      async ({ body: { mfa_token, name = APP } }, req) => {
        const account = await verifier.enrollingAccount(mfa_token, clientOf(req));
        return sent(201, enrollmentView(await factors.enrolTotp(account, name)));
      },
      limiter,
    ),
    route(
      endpoints.stepUp,
      async ({ body }, req) => {
        const { tokens, ...codes } = await verifier.stepUp(
          currentSession(req),
          offeredIn(body),
          clientOf(req),
        );
        return renewed(tokens, codes);
      },
      limiter,
    ),
    route(endpoints.list, async (_input, req) => {
      const { id, role } = userOf(req);
      const data = (await factors.list(id)).map(viewOf);
      return sent(200, { data, policy: factors.ruleOf(role) });
    }),
    route(
      endpoints.enrolTotp,
      async ({ body: { name = APP } }, req) => {
        factors.assertEnabled(userOf(req).role);
        await assertMayChange(req);
        return sent(201, enrollmentView(await factors.enrolTotp(userOf(req), name)));
      },
      limiter,
    ),
    route(
      endpoints.confirmTotp,
      async ({ body }, req) => {
        factors.assertEnabled(userOf(req).role);
        await assertMayChange(req);
        const { tokens, recoveryCodes } = await factors.confirmTotp(
          currentSession(req),
          String(body['code']),
          clientOf(req),
        );
        return renewed(tokens, { recoveryCodes });
      },
      limiter,
    ),
    route(
      endpoints.replaceCodes,
      async (_input, req) => {
        await assertMayChange(req);
        const codes = await factors.replaceCodes(currentSession(req), clientOf(req));
        return sent(200, { recovery_codes: codes });
      },
      limiter,
    ),
    route(
      endpoints.remove,
      async ({ params: { id } }, req) => {
        await assertMayChange(req);
        await factors.remove(currentSession(req), userOf(req).role, id, clientOf(req));
        return { status: 204 };
      },
      limiter,
    ),
  ];
}
