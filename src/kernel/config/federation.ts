import { z } from 'zod';
import { checked, faultOfShownName, flag, integer, setting } from './setting';
import { isSafeForCredentials, webUrlFault } from './urls';

/** A provider of OpenID Connect with which users may sign in. */
export interface ProviderSettings {
  /** In paths: `/api/auth/oidc/ID/callback`. */
  readonly id: string;
  /** Shown to users. */
  readonly name: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scopes: readonly string[];
  /** undefined: by the metadata of the provider. */
  readonly clientAuthentication: 'client_secret_basic' | 'client_secret_post' | undefined;
  /** The provider's addresses count as verified where it does not say whether they are. */
  readonly trustsEmail: boolean;
}

const PROVIDERS_MAX = 20;
/** Not trimmed: the values are compared and sent as they are. */
const held = (faultOf: (value: string) => string | undefined) =>
  z.string().superRefine((value, context) => {
    const message = faultOf(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
/** The characters are those of RFC 6749, appendix A. Blanks at its ends are always a mistake. */
const credential = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(
      /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/,
      'must be printable ASCII, without blanks around it',
    );

const provider = z.strictObject({
  id: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/, 'must be 1 to 32 of a-z, 0-9, -'),
  name: held((value) => faultOfShownName(value, 64)),
  issuer: held(issuerFault),
  client_id: credential(512),
  client_secret: credential(1024),
  scopes: z
    .string()
    .regex(
      /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/,
      'must be scopes, separated by single blanks',
    )
    .refine((value) => value.split(' ').includes('openid'), 'must contain openid')
    .default('openid email profile'),
  client_authentication: z.enum(['client_secret_basic', 'client_secret_post']).optional(),
  trust_email: z.boolean().default(false),
});

const providerList = z.array(provider).max(PROVIDERS_MAX);

function issuerFault(value: string): string | undefined {
  const fault = webUrlFault(value);
  if (fault !== undefined) return fault;
  return isSafeForCredentials(value) ? undefined : 'must be https, or on this host';
}

function parseJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** `google.issuer`, or `[2].issuer` where the entry has no id. */
function placeOf(path: readonly PropertyKey[], list: unknown): string {
  const [index, ...rest] = path;
  if (index === undefined) return '';
  const id = (list as { id?: unknown }[] | undefined)?.[Number(index)]?.id;
  return [typeof id === 'string' ? id : `[${String(index)}]`, ...rest.map(String)].join('.');
}

/** The checks of this file have words of their own; these replace the library's. */
function faultText(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') return 'is missing, or not of the right type';
  if (issue.code === 'unrecognized_keys') return `has unknown members: ${issue.keys.join(', ')}`;
  if (issue.code === 'too_small') return `must not be shorter than ${issue.minimum}`;
  if (issue.code === 'too_big') return `must not be longer than ${issue.maximum}`;
  return issue.code === 'invalid_value'
    ? `must be one of ${issue.values.join(', ')}`
    : issue.message;
}

function faultOfProviders(value: string): string | undefined {
  if (value === '') return undefined;
  const json = parseJson(value);
  if (!Array.isArray(json)) return 'must be a JSON array of providers';
  const result = providerList.safeParse(json);
  if (!result.success)
    return result.error.issues
      .map((issue) => `${placeOf(issue.path, json)} ${faultText(issue)}`.trim())
      .join('; ');
  const twice = (['id', 'issuer'] as const).flatMap((member) => {
    const seen = result.data.map((one) => one[member]);
    const again = seen.find((one, i) => seen.indexOf(one) < i);
    return again === undefined ? [] : [`must name each ${member} once: ${again} occurs twice`];
  });
  return twice[0];
}

const providers = (): z.ZodType<readonly ProviderSettings[]> =>
  checked(faultOfProviders).transform((value) =>
    providerList.parse(value === '' ? [] : JSON.parse(value)).map((one) => ({
      id: one.id,
      name: one.name,
      issuer: one.issuer,
      clientId: one.client_id,
      clientSecret: one.client_secret,
      scopes: one.scopes.split(' '),
      clientAuthentication: one.client_authentication,
      trustsEmail: one.trust_email,
    })),
  );

const urlsIn = (value: string): string[] =>
  value
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');

function faultOfPages(value: string): string | undefined {
  const faults = urlsIn(value).flatMap((one) => {
    const fault = webUrlFault(one, { query: true }) ?? pageFault(one);
    return fault === undefined ? [] : [`${JSON.stringify(one)} ${fault}`];
  });
  return faults.length === 0 ? undefined : faults.join('; ');
}

/** Compared byte for byte, so only the form that browsers use may be listed. */
function pageFault(url: string): string | undefined {
  const { href } = new URL(url);
  if (href !== url) return `must be written as ${href}`;
  return isSafeForCredentials(url) ? undefined : 'must be https, or on this host';
}

const pages = (): z.ZodType<readonly string[]> => checked(faultOfPages).transform(urlsIn);

/** Sign-in with other providers (docs/sign-in-with-others.md). */
export const federation = {
  providers: setting(
    'OIDC_PROVIDERS',
    providers(),
    '',
    'OpenID Connect providers to sign in with, as a JSON array; better in a file, which OIDC_PROVIDERS_FILE names (docs/sign-in-with-others.md).',
    { secret: true },
  ),
  redirectUrls: setting(
    'OIDC_REDIRECT_URLS',
    pages(),
    '',
    'Comma-separated URLs of the pages to which a sign-in with a provider may return; each matches exactly.',
  ),
  createsAccounts: setting(
    'OIDC_CREATE_ACCOUNTS',
    flag(),
    'true',
    'Whether a sign-in with a provider creates an account for a verified e-mail address that has none.',
  ),
  timeoutMs: setting(
    'OIDC_TIMEOUT_MS',
    integer(100, 20_000),
    '5000',
    'Longest time that one request waits for a provider, in ms.',
  ),
  attemptsMax: setting(
    'OIDC_ATTEMPTS_MAX',
    integer(10, 10_000_000),
    '100000',
    'Maximum number of sign-ins with providers that begin within 10 minutes, over all hosts; further ones get 503. An IPv6 /48 or IPv4 /24 may begin 1/32 of them, a /32 or /16 1/8; further ones get 429.',
  ),
} as const;
