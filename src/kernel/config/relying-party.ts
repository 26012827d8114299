import { isIP } from 'node:net';
import type { Check } from './check';
import type { Config, Fault } from './settings';
import { isLoopback } from './urls';

/** The WebAuthn relying party that the settings describe. */
export interface RelyingParty {
  readonly id: string;
  readonly name: string;
  readonly origins: readonly string[];
}

const publicOrigin = ({ server }: Config): string =>
  new URL(server.publicUrl ?? `http://localhost:${server.port}`).origin;

/** undefined: no RP ID is set, and the host of PUBLIC_URL is an IP address. */
export function relyingPartyOf(config: Config): RelyingParty | undefined {
  const { rpId, rpName, origins } = config.passkeys;
  const id = rpId ?? new URL(publicOrigin(config)).hostname;
  if (isIP(id.replace(/^\[|\]$/g, '')) !== 0) return undefined;
  const all = origins.length === 0 ? [publicOrigin(config)] : origins;
  return { id, name: rpName ?? id, origins: all };
}

const isAbove = (id: string, host: string) => host === id || host.endsWith(`.${id}`);

/**
 * Why pages of this origin cannot use passkeys of the RP ID (WebAuthn §5.1.3). Browsers also refuse
 * public suffixes; a list of those is not at hand here.
 */
function faultOfPage(origin: string, id: string): string | undefined {
  const { protocol, hostname } = new URL(origin);
  if (protocol === 'android:') return undefined;
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopback(hostname)))
    return `${origin} must be https:// (http:// is allowed for localhost only)`;
  return isAbove(id, hostname)
    ? undefined
    : `the RP ID ${id} is neither the host of ${origin} nor a parent domain of it`;
}

/** A setting that failed its own schema is undefined here. */
const hasFault = ({ passkeys, server }: Config) =>
  passkeys.origins === undefined ||
  (server.publicUrl !== undefined && !URL.canParse(server.publicUrl)) ||
  server.port === undefined;

function faultOfRelyingParty(config: Config): Fault | undefined {
  if (hasFault(config)) return undefined;
  const { rpId, origins } = config.passkeys;
  const party = relyingPartyOf(config);
  // Values that were left to PUBLIC_URL fit together, or there are no passkeys.
  const isGiven = rpId !== undefined || origins.length > 0;
  if (!isGiven) return undefined;
  if (party === undefined)
    return {
      env: 'PASSKEY_RP_ID',
      message: 'must be set: the host of PUBLIC_URL is an IP address, and an RP ID is a domain',
    };
  if (!party.id.includes('.') && !isLoopback(party.id))
    return {
      env: 'PASSKEY_RP_ID',
      message: `must be a registrable domain, e.g. example.org, or localhost: it is ${party.id}`,
    };
  const [fault] = party.origins.flatMap((one) => faultOfPage(one, party.id) ?? []);
  if (fault === undefined) return undefined;
  return origins.length > 0
    ? { env: 'PASSKEY_ORIGINS', message: `does not go with passkeys: ${fault}` }
    : { env: 'PASSKEY_RP_ID', message: `does not go with PUBLIC_URL: ${fault}` };
}

export const passkeyChecks: readonly Check[] = [faultOfRelyingParty];
