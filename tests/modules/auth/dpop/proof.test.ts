import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { verifyProof } from '../../../../src/modules/auth/dpop/proof';
import { createDpopKey, type DpopKey } from '../../../support/dpop';

const URL_HERE = 'https://api.example.org/api/auth/refresh';
const target = () => ({
  method: 'POST',
  url: URL_HERE,
  nowSeconds: Date.now() / 1000,
  windowSeconds: 60,
});
let jose: typeof import('jose');
let key: DpopKey;

beforeAll(async () => {
  jose = await import('jose');
  key = await createDpopKey(jose);
});

const verify = (text: string) => verifyProof(text, target());
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const claims = () => ({
  ...{ jti: 'a jti', htm: 'POST', htu: URL_HERE },
  iat: Math.floor(Date.now() / 1000),
});

test.each(['ES256', 'EdDSA', 'Ed25519', 'PS256', 'RS256'])(
  'a proof that jose made with %s is accepted, and the thumbprint is the one of jose',
  async (alg) => {
    const made = await createDpopKey(jose, alg);
    const proof = verify(await made.proof('POST', URL_HERE));
    expect(proof).toEqual({
      jkt: made.thumbprint,
      jti: expect.any(String),
      iat: expect.any(Number),
    });
  },
);

test('the thumbprint is the one of RFC 7638 §3.1', () => {
  // The key of the RFC has no private part: only the thumbprint can be compared.
  const { readPublicJwk } = jest.requireActual<
    typeof import('../../../../src/modules/auth/dpop/public-jwk')
  >('../../../../src/modules/auth/dpop/public-jwk');
  const n =
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
  expect(readPublicJwk({ kty: 'RSA', n, e: 'AQAB', alg: 'RS256' }, 'RS256').thumbprint).toBe(
    'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
  );
});

test.each([
  ['a query and a fragment', `${URL_HERE}?a=1#b`],
  [
    'upper case in scheme and host, and the default port',
    'HTTPS://API.example.org:443/api/auth/refresh',
  ],
])('htu with %s is the same URL', async (_name, htu) => {
  expect(verify(await key.proof('POST', htu)).jkt).toBe(key.thumbprint);
});

test.each([
  ['another method', { htm: 'GET' }, /htm/],
  ['another path', { htu: 'https://api.example.org/api/auth/login' }, /htu/],
  ['another host', { htu: 'https://api.example.net/api/auth/refresh' }, /htu/],
  ['another scheme', { htu: 'http://api.example.org/api/auth/refresh' }, /htu/],
  ['a user in the URL', { htu: 'https://a@api.example.org/api/auth/refresh' }, /htu/],
  ['a relative URL', { htu: '/api/auth/refresh' }, /htu/],
  ['an old iat', { iat: Math.floor(Date.now() / 1000) - 120 }, /iat/],
  ['an iat in the future', { iat: Math.floor(Date.now() / 1000) + 120 }, /iat/],
  ['an iat that is no number', { iat: 'now' }, /iat/],
  ['no jti', { jti: undefined }, /jti/],
  ['an empty jti', { jti: '' }, /jti/],
  ['a jti of 1 KB', { jti: 'a'.repeat(1024) }, /jti/],
])('a proof with %s is refused', async (_name, changed, reason) => {
  const proof = await key.proof('POST', URL_HERE, { claims: changed });
  expect(() => verify(proof)).toThrow(reason);
});

test.each([
  ['typ JWT', { typ: 'JWT' }, /typ/],
  ['no typ', { typ: undefined }, /typ/],
  ['no jwk', { jwk: undefined }, /jwk/],
  ['a jwk that is a text', { jwk: 'key' }, /jwk/],
  ['a key of another type', { jwk: { kty: 'oct', k: 'AAAA' } }, /jwk/],
  ['a jwk of another curve', { jwk: { kty: 'EC', crv: 'P-384', x: 'AA', y: 'AA' } }, /jwk/],
  [
    'a point that is not on the curve',
    { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } },
    /jwk/,
  ],
])('a proof with %s is refused', async (_name, header, reason) => {
  const proof = await key.proof('POST', URL_HERE, { header });
  expect(() => verify(proof)).toThrow(reason);
});

test('a proof that shows its private key is refused', async () => {
  const jwk = await jose.exportJWK(key.pair.privateKey);
  const proof = await key.proof('POST', URL_HERE, { header: { jwk } });
  expect(() => verify(proof)).toThrow(/private members/);
});

test('alg none and a MAC under the public key are refused', () => {
  const header = (alg: string) => encode({ typ: 'dpop+jwt', alg, jwk: key.jwk });
  const none = `${header('none')}.${encode(claims())}`;
  expect(() => verify(`${none}.`)).toThrow();
  expect(() => verify(`${none}.AA`)).toThrow(/alg/);
  const input = `${header('HS256')}.${encode(claims())}`;
  const mac = createHmac('sha256', JSON.stringify(key.jwk)).update(input).digest('base64url');
  expect(() => verify(`${input}.${mac}`)).toThrow(/alg/);
});

test('a key for one algorithm is not accepted for another', async () => {
  const proof = await key.proof('POST', URL_HERE);
  const [, payload, signature] = proof.split('.');
  const header = encode({ typ: 'dpop+jwt', alg: 'RS256', jwk: key.jwk });
  expect(() => verify(`${header}.${payload}.${signature}`)).toThrow(/RS256/);
});

test('an RSA key below 2048 bits is refused', () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const header = { typ: 'dpop+jwt', alg: 'RS256', jwk: publicKey.export({ format: 'jwk' }) };
  const input = `${encode(header)}.${encode(claims())}`;
  const signature = sign('sha256', Buffer.from(input), privateKey).toString('base64url');
  expect(() => verify(`${input}.${signature}`)).toThrow(/2048/);
});

test('a changed payload, a foreign signature and the header crit are refused', async () => {
  const [header, , signature] = (await key.proof('POST', URL_HERE)).split('.');
  expect(() => verify(`${header}.${encode(claims())}.${signature}`)).toThrow(/signature/);
  const other = await createDpopKey(jose);
  const foreign = await other.proof('POST', URL_HERE, { header: { jwk: key.jwk } });
  expect(() => verify(foreign)).toThrow(/signature/);
  const critical = `${encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: key.jwk, crit: ['b64'], b64: false })}`;
  expect(() => verify(`${critical}.${encode(claims())}.${signature}`)).toThrow(/crit/);
});

test.each([
  ['nothing', ''],
  ['a text', 'no proof'],
  ['two proofs, as Node joins them', 'a.b.c, a.b.c'],
  ['a huge header', `${'A'.repeat(100_000)}.AA.AA`],
  ['parts that are not JSON', 'AAAA.AAAA.AAAA'],
  ['parts that are not objects', `${encode(1)}.${encode(1)}.AA`],
  ['null', `${encode(null)}.${encode(null)}.AA`],
])('%s is refused by a ProofError', (_name, text) => {
  expect(() => verify(text)).toThrow(expect.objectContaining({ name: 'ProofError' }));
});
