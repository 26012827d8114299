import { ConfigError, parseConfig } from '../../../src/kernel/config/config';
import { relyingPartyOf } from '../../../src/kernel/config/relying-party';

const partyOf = (environment: Record<string, string>) => relyingPartyOf(parseConfig(environment));

/** The variable and the message of each fault. */
function faultsOf(environment: Record<string, string>): string[] {
  try {
    parseConfig(environment);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults.map(({ env, message }) => `${env} ${message}`);
  }
}

test('the relying party of passkeys follows from PUBLIC_URL, or is localhost', () => {
  expect(partyOf({ PORT: '4000' })).toEqual({
    id: 'localhost',
    name: 'localhost',
    origins: ['http://localhost:4000'],
  });
  const PUBLIC_URL = 'https://app.example.org:8443/base';
  expect(partyOf({ PUBLIC_URL })).toEqual({
    id: 'app.example.org',
    name: 'app.example.org',
    origins: ['https://app.example.org:8443'],
  });
  expect(partyOf({ PUBLIC_URL, PASSKEY_RP_ID: 'example.org', PASSKEY_RP_NAME: 'Example' })).toEqual(
    { id: 'example.org', name: 'Example', origins: ['https://app.example.org:8443'] },
  );
});

test('an IP address has no passkeys, and starts', () => {
  for (const PUBLIC_URL of ['http://127.0.0.1:3000', 'http://[::1]:3000'])
    expect(partyOf({ PUBLIC_URL })).toBeUndefined();
});

test('pages of the RP ID, of its subdomains, and Android apps go together', () => {
  const app = `android:apk-key-hash:${'A'.repeat(43)}`;
  const origins = ['https://example.org', 'https://a.b.example.org:8443', app];
  const PASSKEY_ORIGINS = origins.join(',');
  expect(partyOf({ PASSKEY_RP_ID: 'example.org', PASSKEY_ORIGINS })?.origins).toEqual(origins);
});

test.each<[string, Record<string, string>, RegExp]>([
  ['an IP address as the RP ID', { PASSKEY_RP_ID: '10.0.0.1' }, /^PASSKEY_RP_ID .*no IP address/],
  ['a URL as the RP ID', { PASSKEY_RP_ID: 'https://example.org' }, /^PASSKEY_RP_ID .*a domain/],
  ['a name that nobody sees', { PASSKEY_RP_NAME: '\u200b' }, /^PASSKEY_RP_NAME must .*a visible/],
  [
    'a name of two directions',
    { PASSKEY_RP_NAME: 'a\u202eb' },
    /^PASSKEY_RP_NAME must .*direction/,
  ],
  ['upper case', { PASSKEY_RP_ID: 'Example.org' }, /^PASSKEY_RP_ID .*lower case/],
  [
    'a public suffix of one label',
    { PASSKEY_RP_ID: 'org', PASSKEY_ORIGINS: 'https://example.org' },
    /^PASSKEY_RP_ID must be a registrable domain/,
  ],
  [
    'pages of another domain',
    { PASSKEY_RP_ID: 'example.org', PASSKEY_ORIGINS: 'https://evil.test' },
    /^PASSKEY_ORIGINS .*neither the host of https:\/\/evil\.test nor a parent domain/,
  ],
  [
    'pages of a domain that only ends alike',
    { PASSKEY_RP_ID: 'example.org', PASSKEY_ORIGINS: 'https://evilexample.org' },
    /^PASSKEY_ORIGINS .*neither the host/,
  ],
  [
    'an RP ID below the pages',
    { PASSKEY_RP_ID: 'app.example.org', PASSKEY_ORIGINS: 'https://example.org' },
    /^PASSKEY_ORIGINS .*neither the host/,
  ],
  [
    'pages without TLS',
    { PASSKEY_RP_ID: 'example.org', PASSKEY_ORIGINS: 'http://example.org' },
    /^PASSKEY_ORIGINS .*must be https:/,
  ],
  ['every origin', { PASSKEY_RP_ID: 'example.org', PASSKEY_ORIGINS: '*' }, /^PASSKEY_ORIGINS .*\*/],
  [
    'a PUBLIC_URL of another domain',
    { PASSKEY_RP_ID: 'example.org', PUBLIC_URL: 'https://example.net' },
    /^PASSKEY_RP_ID does not go with PUBLIC_URL/,
  ],
  [
    'origins without a domain',
    { PASSKEY_ORIGINS: 'https://example.org', PUBLIC_URL: 'http://127.0.0.1:3000' },
    /^PASSKEY_RP_ID must be set/,
  ],
])('a start with %s says why it fails', (_name, environment, reason) => {
  expect(faultsOf(environment)).toEqual([expect.stringMatching(reason)]);
});
