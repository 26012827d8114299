import { checked, faultOfShownName, integer, oneOf, optional, setting } from './setting';
import { faultOfOrigin, listed } from './urls';

/** A domain in the form in which browsers compare it, without scheme and port. */
const domain = () =>
  checked((value) => {
    const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
    if (/^[\d.]+$/.test(value) || value.includes('['))
      return 'must be a domain: browsers accept no IP address as an RP ID';
    return new RegExp(`^(?=.{1,253}$)${label}(\\.${label})*$`).test(value)
      ? undefined
      : 'must be a domain in lower case (xn-- for other scripts), without scheme, port and path, e.g. example.org';
  });

/** How Android reports the signing certificate of an app. */
const ANDROID_APP = /^android:apk-key-hash:[A-Za-z0-9_-]{43}$/;

const passkeyOrigins = () =>
  checked((value) => {
    const faults = listed(value).flatMap((one) => {
      if (ANDROID_APP.test(one)) return [];
      if (one === '*') return ['* is not allowed: list the origins of your pages'];
      return faultOfOrigin(one) ?? [];
    });
    return faults.length === 0
      ? undefined
      : `must be a comma-separated list of origins: ${faults.join('; ')}`;
  }).transform(listed);

export const passkeys = {
  rpId: setting(
    'PASSKEY_RP_ID',
    optional(domain()),
    undefined,
    'RP ID of passkeys: the domain of the pages that use them, or a parent domain. Passkeys are bound to it for ever. Unset: the host of PUBLIC_URL, else localhost; no passkeys where that is an IP address.',
  ),
  rpName: setting(
    'PASSKEY_RP_NAME',
    optional(checked((value) => faultOfShownName(value, 64))),
    undefined,
    'Name of the service that browsers show when they create a passkey; unset: the RP ID.',
  ),
  origins: setting(
    'PASSKEY_ORIGINS',
    passkeyOrigins(),
    '',
    'Comma-separated origins of the pages (https, http on localhost only) and Android apps (android:apk-key-hash:…) that may use passkeys; empty: the origin of PUBLIC_URL, else http://localhost:PORT.',
  ),
  userVerification: setting(
    'PASSKEY_USER_VERIFICATION',
    oneOf('required', 'preferred', 'discouraged'),
    'preferred',
    'Whether new passkeys and passkeys as a second factor need user verification (a PIN, a fingerprint): required, preferred, discouraged. A sign-in by passkey alone always needs it.',
  ),
  perUser: setting(
    'PASSKEYS_PER_USER',
    integer(1, 100),
    '20',
    'Maximum number of passkeys of a user.',
  ),
  challengeTtlSeconds: setting(
    'PASSKEY_CHALLENGE_TTL_SECONDS',
    integer(30, 3600),
    '300',
    'How long a challenge can be answered with a passkey, in seconds.',
  ),
  challengesMax: setting(
    'PASSKEY_CHALLENGES_MAX',
    integer(10, 10_000_000),
    '100000',
    'Maximum number of challenges for sign-ins by passkey that are issued within PASSKEY_CHALLENGE_TTL_SECONDS, over all hosts; further requests get 503. An IPv6 /48 or IPv4 /24 gets 1/32 of them, a /32 or /16 1/8; further requests get 429.',
  ),
} as const;
