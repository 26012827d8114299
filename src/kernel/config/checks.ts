import { type Check, fault } from './check';
import { credentialChecks } from './checks-credentials';
import { processChecks } from './checks-process';
import { productionChecks } from './checks-production';
import { storeChecks } from './checks-stores';
import { eventChecks, lifetimeChecks } from './checks-times';
import { passkeyChecks } from './relying-party';
import type { Config, Fault } from './settings';
import { isSafeForCredentials, mayBeSameSite } from './urls';

const moduleChecks: readonly Check[] = [
  ({ server, auth }) =>
    fault(
      lacksAuth(server) && auth.jwksUrl === undefined,
      'JWKS_URL',
      () =>
        'must be set where MODULES does not name auth: access tokens are verified with the published keys of a process that serves auth, e.g. http://127.0.0.1:3000/.well-known/jwks.json',
    ),
  ({ server, auth }) =>
    fault(
      server.modules !== undefined && !lacksAuth(server) && auth.jwksUrl !== undefined,
      'JWKS_URL',
      () => 'must not be set where MODULES names auth: this process has the keys itself',
    ),
  ({ auth }) =>
    fault(
      auth.jwksUrl !== undefined && !isSafeForCredentials(auth.jwksUrl),
      'JWKS_URL',
      () => 'must be https, or on this host: anyone on the way could replace the keys',
    ),
  ({ server, auth }) =>
    fault(
      lacksAuth(server) && auth.jwtSecret !== undefined,
      'JWT_SECRET',
      () =>
        'must not be set where MODULES does not name auth: a shared secret has no published keys',
    ),
];

const federationChecks: readonly Check[] = [
  ({ federation: { providers, redirectUrls } }) =>
    fault(
      providers !== undefined && providers.length > 0 && redirectUrls?.length === 0,
      'OIDC_REDIRECT_URLS',
      () => 'must be set with OIDC_PROVIDERS: the pages to which a sign-in may return',
    ),
];

const lacksAuth = ({ modules }: Config['server']) =>
  modules !== undefined && !modules.includes('auth');

/** A browser sends and accepts the cookie only where the page and the service are of one site. */
const browserChecks: readonly Check[] = [
  ({ server, browser }) => {
    const { publicUrl } = server;
    const other =
      publicUrl === undefined
        ? undefined
        : browser.origins?.find((origin) => !mayBeSameSite(origin, publicUrl));
    return fault(
      other !== undefined,
      'BROWSER_ORIGINS',
      () =>
        `must be of the same site as PUBLIC_URL (${publicUrl}), with the same scheme: browsers keep SameSite cookies from ${other}`,
    );
  },
];

const checks: readonly Check[] = [
  ...credentialChecks,
  ...passkeyChecks,
  ...moduleChecks,
  ...federationChecks,
  ...storeChecks,
  ...lifetimeChecks,
  ...eventChecks,
  ...processChecks,
  ...browserChecks,
  ...productionChecks,
];

/** At most one fault per setting: the first found. Later ones may follow from it. */
export function checkTogether(config: Config): Fault[] {
  const found = checks.map((check) => check(config)).filter((one) => one !== undefined);
  return found.filter(({ env }, i) => found.findIndex((other) => other.env === env) === i);
}
