import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Environment, parseConfig } from '../../../src/kernel/config/config';
import { readProviderSecrets } from '../../../src/kernel/config/secret-files';

const one = {
  ...{ id: 'example', name: 'Example', issuer: 'https://login.example.org' },
  ...{ client_id: 'service', client_secret: 'secret' },
};
const parse = (providers: unknown, more: Environment = {}) =>
  parseConfig({
    OIDC_PROVIDERS: typeof providers === 'string' ? providers : JSON.stringify(providers),
    OIDC_REDIRECT_URLS: 'https://app.example.org/signed-in',
    ...more,
  }).federation;

test('a provider needs five members, and the others have defaults', () => {
  expect(parse([one]).providers).toEqual([
    {
      ...{ id: 'example', name: 'Example', issuer: 'https://login.example.org' },
      ...{ clientId: 'service', clientSecret: 'secret', scopes: ['openid', 'email', 'profile'] },
      ...{ clientAuthentication: undefined, trustsEmail: false },
    },
  ]);
});

test.each<[string, unknown, RegExp]>([
  ['no JSON', '{', /must be a JSON array of providers/],
  ['no array', {}, /must be a JSON array of providers/],
  ['an id with capitals', [{ ...one, id: 'Example' }], /Example\.id must be 1 to 32 of a-z/],
  ['a misspelt member', [{ ...one, client_ID: 'x' }], /example has unknown members: client_ID/],
  [
    'an empty entry',
    [{}],
    /\[0\]\.id is missing, or not of the right type; \[0\]\.name is missing/,
  ],
  ['no secret', [{ ...one, client_secret: undefined }], /example\.client_secret/],
  [
    'an issuer without TLS',
    [{ ...one, issuer: 'http://a.example' }],
    /example\.issuer must be https/,
  ],
  ['scopes without openid', [{ ...one, scopes: 'email' }], /example\.scopes must contain openid/],
  ['an id twice', [one, { ...one, issuer: 'https://b.example' }], /each id once: example/],
  ['an issuer twice', [one, { ...one, id: 'b' }], /each issuer once: https/],
  ['a name that nobody sees', [{ ...one, name: '\u200b' }], /example\.name must have 1 to 64 char/],
  ['a name of two directions', [{ ...one, name: '\u202eelgooG' }], /example\.name must have/],
  [
    'a blank at a secret',
    [{ ...one, client_secret: 's ' }],
    /example\.client_secret must be print/,
  ],
  ['a client of blanks', [{ ...one, client_id: '  ' }], /example\.client_id must be print/],
  ['two faults', [{ ...one, id: '-', name: '' }], /-\.id .*; -\.name /],
])('%s is refused at the start, by its name', (_, providers, message) => {
  expect(() => parse(providers)).toThrow(message);
});

test('a page is written as browsers write it, and the faults never show a secret', () => {
  const pages = (OIDC_REDIRECT_URLS: string) => () => parse([one], { OIDC_REDIRECT_URLS });
  expect(pages('https://app.example.org')).toThrow('must be written as https://app.example.org/');
  expect(pages('https://APP.example.org/')).toThrow('must be written as https://app.example.org/');
  expect(pages('http://app.example.org/')).toThrow('must be https, or on this host');
  expect(pages('https://app.example.org/#a')).toThrow('must not contain a fragment');
  expect(pages('')).toThrow('must be set with OIDC_PROVIDERS');
  expect(pages('http://localhost:5173/,https://a.example/?x=1')).not.toThrow();
  expect(() => parse([{ ...one, client_secret: 'hunter2', id: 'A' }])).not.toThrow('hunter2');
});

test('in production a provider on this host needs TLS too', () => {
  const providers = [{ ...one, issuer: 'http://localhost:4000' }];
  expect(() => parse(providers)).not.toThrow();
  expect(() => parse(providers, { NODE_ENV: 'production' })).toThrow(
    'example.issuer must be https in production',
  );
});

test('the secret of a provider comes from a file, whose faults are named', () => {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-'));
  const file = join(folder, 'example');
  const { client_secret: _, ...rest } = one;
  const read = (provider: object) =>
    readProviderSecrets('OIDC_PROVIDERS', JSON.stringify([provider]));
  writeFileSync(file, 'from a file\n');
  const { value, faults } = read({ ...rest, client_secret_file: file });
  expect(faults).toEqual([]);
  expect(parse(value).providers[0]?.clientSecret).toBe('from a file');
  writeFileSync(file, '\n');
  expect(read({ ...rest, client_secret_file: file }).faults[0]?.message).toContain('empty file');
  expect(read({ ...rest, client_secret_file: `${file}.no` }).faults[0]?.message).toContain(
    'ENOENT',
  );
  expect(read({ ...one, client_secret_file: file }).faults[0]?.message).toContain('together');
  rmSync(folder, { recursive: true });
});
