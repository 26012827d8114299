import { sha256 } from '../../../kernel/crypto/digest';
import { Problem } from '../../../kernel/errors';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import { reportingRefusal } from '../refusals';
import type { KnownDevices } from '../sessions/known-devices';
import type { CountBegunSignIn } from '../sign-in/begun-sign-ins';
import type { SignInResult } from '../sign-in/complete-sign-in';
import type { ProvenSignIn } from '../sign-in/proven-sign-in';
import type { Credentials, UsersPort } from '../users-port';
import type { BrowserCookie } from './browser-cookie';
import type { Identities, Identity } from './identities';
import { bannedAccount, invalidAttempt, invalidSignInCode, noSuchProvider } from './problems';
import type { AttemptSecrets, CallbackParameters, Provider } from './provider';
import type { ResolveAccount } from './resolve-account';
import { isVerifierOf, type Journey, type Steps } from './steps';

/** Where the browser goes next. */
export interface Redirect {
  readonly location: string;
  /** `Set-Cookie`. */
  readonly cookie?: string | undefined;
}

export interface FederatedSignIn {
  readonly list: () => { readonly id: string; readonly name: string }[];
  /** Throws 404 `oidc_provider_not_found`. */
  provider(id: string): Provider;
  /**
   * Sends the browser to the provider; where that fails, back to the page with `error`. Throws 429
   * and 503 where too many sign-ins have begun.
   */
  start(journey: Journey, cookieHeader: string | undefined, client: ClientInfo): Promise<Redirect>;
  /** The same by the ticket of a signed-in page. Throws 400 `invalid_sign_in_attempt`. */
  startByTicket(
    provider: string,
    ticket: string,
    cookieHeader: string | undefined,
    client: ClientInfo,
  ): Promise<Redirect>;
  /**
   * Back from the provider, to the page: with `code`, or with `error`. Throws 400
   * `invalid_sign_in_attempt` where no page is known.
   */
  callback(
    provider: string,
    answer: CallbackParameters,
    cookieHeader: string | undefined,
    client: ClientInfo,
  ): Promise<Redirect>;
  /**
   * Signs in by the code that the page got. Throws 400 `invalid_provider_code`, 409
   * `account_banned`, 403 `password_change_required` and the errors of `ResolveAccount`.
   */
  redeem(code: string, verifier: string, client: ClientInfo): Promise<SignInResult>;
}

export interface FederatedSignInDependencies {
  readonly providers: readonly Provider[];
  readonly cookie: BrowserCookie;
  readonly steps: Steps;
  readonly countBegun: CountBegunSignIn;
  readonly identities: Pick<Identities, 'used'>;
  readonly resolveAccount: ResolveAccount;
  readonly users: Pick<UsersPort, 'credentialsById'>;
  readonly emit: EmitEvent;
  readonly devices: Pick<KnownDevices, 'knownUntil'>;
  readonly provenSignIn: ProvenSignIn;
}

/** The method in `amr`: a value of this service, where RFC 8176 has none. */
const AMR = ['fed'];

export function createFederatedSignIn(deps: FederatedSignInDependencies): FederatedSignIn {
  const { providers, cookie, steps, identities, resolveAccount, users, devices, emit } = deps;
  const byId = new Map(providers.map((one) => [one.id, one]));

  function provider(id: string): Provider {
    const found = byId.get(id);
    if (found === undefined) throw noSuchProvider();
    return found;
  }

  /** Back at the page with what the work gave, or with the code of the problem. */
  async function returning(
    { redirectTo }: Journey,
    work: () => Promise<Readonly<Record<string, string>>>,
  ): Promise<Redirect> {
    try {
      return { location: withQuery(redirectTo, await work()) };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return { location: withQuery(redirectTo, { error: error.code }) };
    }
  }

  async function start(
    journey: Journey,
    cookieHeader: string | undefined,
    client: ClientInfo,
  ): Promise<Redirect> {
    const to = provider(journey.provider);
    await deps.countBegun(client);
    const browser = cookie.read(cookieHeader) ?? cookie.create();
    const state = await steps.issue('attempt', { ...journey, browser: sha256(browser) });
    try {
      const location = await to.authorizationUrl(secretsOf(state, browser));
      return { location, cookie: cookie.line(browser) };
    } catch (error) {
      return returning(journey, () => Promise.reject(error));
    }
  }

  /**
   * The account of the identity, as it is now. Whether the identity is still linked is asked last:
   * an end of all sessions after that ends the one that is opened.
   */
  async function accountOf(identity: Identity, email: string | null): Promise<Credentials> {
    const found = await users.credentialsById(identity.userId);
    const isLinked = await identities.used(identity, email);
    if (found === null || !isLinked) throw invalidSignInCode();
    return found;
  }

  const reporting = <T>(client: ClientInfo, work: () => Promise<T>): Promise<T> =>
    reportingRefusal((reason) => emit('LoginFailed', { userId: undefined, reason, client }), work);

  /** The sign-in at which the provider's answer arrives, where this browser has begun it. */
  async function takeAttempt(
    id: string,
    { state }: CallbackParameters,
    cookieHeader: string | undefined,
  ) {
    const from = provider(id);
    const browser = cookie.read(cookieHeader);
    if (browser === undefined || state === undefined) throw invalidAttempt();
    // Another browser, or the answer of another provider, takes nothing.
    const expected = { provider: id, browser: sha256(browser) };
    const attempt = await steps.take('attempt', state, expected);
    if (attempt === null) throw invalidAttempt();
    const { redirectTo, challenge, link } = attempt;
    const journey = { provider: id, redirectTo, challenge, link };
    return { from, secrets: secretsOf(state, browser), journey };
  }

  async function resolve(code: string, verifier: string, client: ClientInfo) {
    const step = await steps.take('code', code, {});
    const isSignIn = step !== null && step.link === undefined;
    if (!isSignIn || !isVerifierOf(step, verifier)) throw invalidSignInCode();
    const { identity, isCreated } = await resolveAccount(step.provider, step.claims, client);
    return { found: await accountOf(identity, step.claims.email), isNew: isCreated };
  }

  return {
    list: () => providers.map(({ id, name }) => ({ id, name })),
    provider,
    start,

    async startByTicket(id, ticket, cookieHeader, client) {
      const journey = await steps.take('ticket', ticket, { provider: provider(id).id });
      if (journey === null) throw invalidAttempt();
      const { redirectTo, challenge, link } = journey;
      return start({ provider: id, redirectTo, challenge, link }, cookieHeader, client);
    },

    async callback(id, answer, cookieHeader, client) {
      const attempt = await reporting(client, () => takeAttempt(id, answer, cookieHeader));
      const { from, secrets, journey } = attempt;
      return returning(journey, () =>
        reporting(client, async () => {
          const claims = await from.claimsOf(answer, secrets);
          return { code: await steps.issue('code', { ...journey, claims }) };
        }),
      );
    },

    async redeem(code, verifier, client) {
      const { found, isNew } = await reporting(client, () => resolve(code, verifier, client));
      if (found.status !== 'active') {
        emit('LoginFailed', { userId: found.id, reason: 'no_usable_account', client });
        throw bannedAccount();
      }
      const knownUntil = await devices.knownUntil(found, client);
      const proven = { amr: AMR, client, knownUntil, isNew };
      return deps.provenSignIn(found, proven, invalidSignInCode);
    },
  };
}

/**
 * From the `state`, which travels in URLs, and the cookie, which does not: the database holds
 * nothing by which its reader could complete an attempt.
 */
const secretsOf = (state: string, browser: string): AttemptSecrets => ({
  state,
  nonce: sha256(`oidc nonce\n${state}\n${browser}`),
  verifier: sha256(`oidc verifier\n${state}\n${browser}`),
});

function withQuery(url: string, members: Readonly<Record<string, string>>): string {
  const to = new URL(url);
  for (const [name, value] of Object.entries(members)) to.searchParams.set(name, value);
  return to.href;
}
