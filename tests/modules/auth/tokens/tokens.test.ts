import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { Problem } from '../../../../src/kernel/errors';
import type { Algorithm, KeyRing, VerificationKey } from '../../../../src/modules/auth/keys/keys';
import { createTokens, type Tokens } from '../../../../src/modules/auth/tokens/tokens';
import { b64, forge, ringOf, ringWith, signWith } from '../../../support/key-rings';

const NOW = 1_800_000_000;
const ISSUER = 'https://auth.example';
const USER = {
  id: '64b0c0ffee64b0c0ffee64b0',
  role: 'user',
  sessionVersion: 3,
  emailVerified: false,
} as const;
const SID = 'c2lkLXNpZC1zaWQ';
const LEEWAY = 5;

function tokensOf(keys: KeyRing, clock = { seconds: NOW }, cacheMaxEntries = 100): Tokens {
  return createTokens({
    keys,
    issuer: ISSUER,
    audience: 'api',
    clientId: 'first-party',
    ttlSeconds: 900,
    leewaySeconds: LEEWAY,
    cacheMaxEntries,
    now: () => clock.seconds * 1000,
  });
}

function refusal(tokens: Tokens, token: unknown): Problem {
  try {
    const claims = tokens.verify(token as string);
    throw new Error(`accepted: ${JSON.stringify(claims)}`);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

const seen = ({ status, code, title, detail, errors, headers }: Problem) => ({
  status,
  code,
  title,
  detail,
  errors,
  headers,
});

describe.each(['HS256', 'ES256', 'EdDSA', 'RS256'] as const)('access tokens with %s', (alg) => {
  let keys: KeyRing;
  let tokens: Tokens;
  beforeAll(async () => {
    keys = await ringOf(alg);
    tokens = tokensOf(keys);
  });

  test('an issued token is accepted with its claims', () => {
    const { token, expiresInSeconds } = tokens.issue(USER, SID);
    expect(expiresInSeconds).toBe(900);
    const claims = tokens.verify(token);
    expect(claims).toEqual({
      ...{ sub: USER.id, client_id: 'first-party', sid: SID, ver: 3, role: 'user' },
      ...{ jti: expect.any(String), iat: NOW, exp: NOW + 900 },
    });
    expect(tokens.verify(token)).toBe(claims);
    expect(tokens.verify(tokens.issue(USER, SID).token).jti).not.toBe(claims.jti);
  });

  test('jose accepts it as an RFC 9068 token', async () => {
    const jose = await import('jose');
    const { token } = tokens.issue(USER, SID);
    const key = alg === 'HS256' ? keys.signing().key : jose.createLocalJWKSet(keys.jwks() as never);
    const check = {
      issuer: ISSUER,
      audience: 'api',
      typ: 'at+jwt',
      algorithms: [alg],
      currentDate: new Date(NOW * 1000),
    };
    const { payload } = await (typeof key === 'function'
      ? jose.jwtVerify(token, key, check)
      : jose.jwtVerify(token, key, check));
    expect(payload).toMatchObject({ sub: USER.id, sid: SID, ver: 3, role: 'user', exp: NOW + 900 });
  });

  test('every attack gets the same 401', () => {
    const uniform = seen(refusal(tokens, 'nonsense'));
    expect(uniform).toMatchObject({ status: 401, code: 'invalid_token' });
    expect(uniform.headers['WWW-Authenticate']).toMatch(/^Bearer .*error="invalid_token"/);
    const attacks = attackList(alg, keys, tokens.issue(USER, SID).token);
    const answers = attacks.map(([name, token]) => {
      try {
        return [name, seen(refusal(tokens, token))];
      } catch (error) {
        return [name, String(error)];
      }
    });
    expect(answers).toEqual(attacks.map(([name]) => [name, uniform]));
    expect(attacks.length).toBeGreaterThan(90);
  });
});

/**
 * Name and token of each attack. All but the last group are correctly signed by our own key where
 * that makes sense.
 */
function attackList(alg: Algorithm, keys: KeyRing, genuine: string): [string, unknown][] {
  const { kid, key } = keys.signing();
  const [head, body, signature] = genuine.split('.') as [string, string, string];
  const header = { alg, typ: 'at+jwt', kid };
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>;
  const without = (name: string) =>
    Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));
  const withHeader = (extra: Record<string, unknown>) =>
    forge(keys, { ...header, ...extra }, claims);
  const withClaims = (extra: Record<string, unknown>) =>
    forge(keys, header, { ...claims, ...extra });
  const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signedBy = (foreign: KeyObject, extra: Record<string, unknown> = {}) => {
    const input = `${b64(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid, ...extra }))}.${body}`;
    return `${input}.${sign('sha256', Buffer.from(input), { key: foreign, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };
  const attackerJwk = attacker.publicKey.export({ format: 'jwk' });
  const hmac = (secret: string | Buffer | KeyObject, hash = 'sha256', name = 'HS256') => {
    const input = `${b64(JSON.stringify({ alg: name, typ: 'at+jwt', kid }))}.${body}`;
    return `${input}.${createHmac(hash, secret as Buffer)
      .update(input)
      .digest('base64url')}`;
  };
  const publicKey = key.type === 'private' ? createPublicKey(key) : undefined;
  const otherAlgs = [
    'HS256',
    'HS384',
    'HS512',
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'ES256',
    'ES384',
    'ES256K',
    'EdDSA',
    'Ed448',
  ].filter((a) => a !== alg);
  const last = (part: string, to: string) => part.slice(0, -1) + to;
  const respelled = (part: string) =>
    [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
      .map((c) => last(part, c))
      .filter(
        (p) => p !== part && Buffer.from(p, 'base64url').equals(Buffer.from(part, 'base64url')),
      );

  return [
    // alg
    ...['none', 'None', 'NONE', 'nOnE', '', null, undefined, 0, ['none'], { none: 1 }].flatMap(
      (none): [string, unknown][] => [
        [
          `alg ${JSON.stringify(none)} unsigned`,
          `${b64(JSON.stringify({ ...header, alg: none }))}.${body}.`,
        ],
        [`alg ${JSON.stringify(none)} with a signature`, withHeader({ alg: none })],
      ],
    ),
    ['alg none, no kid', `${b64('{"alg":"none"}')}.${body}.`],
    ['alg in lower case', withHeader({ alg: alg.toLowerCase() })],
    ...otherAlgs.map((other): [string, unknown] => [
      `header says ${other}`,
      withHeader({ alg: other }),
    ]),
    ...(publicKey === undefined
      ? ([
          ['HS384 with the secret', hmac(key, 'sha384', 'HS384')],
          ['HS512 with the secret', hmac(key, 'sha512', 'HS512')],
        ] as [string, unknown][])
      : ([
          [
            'HS256 keyed by the public PEM',
            hmac(publicKey.export({ format: 'pem', type: 'spki' }) as string),
          ],
          [
            'HS256 keyed by the public DER',
            hmac(publicKey.export({ format: 'der', type: 'spki' }) as Buffer),
          ],
          ['HS256 keyed by the public JWK', hmac(JSON.stringify(keys.jwks().keys[0]))],
        ] as [string, unknown][])),
    ['HS256 keyed by nothing', hmac('')],
    // header members
    ['an embedded jwk', signedBy(attacker.privateKey, { jwk: attackerJwk })],
    ['an embedded jwk beside our signature', withHeader({ jwk: attackerJwk })],
    ['jku', withHeader({ jku: 'https://evil.example/jwks.json' })],
    ['x5u', withHeader({ x5u: 'https://evil.example/cert.pem' })],
    ['x5c', withHeader({ x5c: ['MIIB'] })],
    ['x5t', withHeader({ x5t: 'AAAA' })],
    ['crit', withHeader({ crit: ['exp'] })],
    ['empty crit', withHeader({ crit: [] })],
    ['b64 false', withHeader({ b64: false, crit: ['b64'] })],
    ['zip', withHeader({ zip: 'DEF' })],
    ['cty', withHeader({ cty: 'JWT' })],
    [
      'duplicate alg',
      forge(keys, `{"alg":"none","typ":"at+jwt","kid":"${kid}","alg":"${alg}"}`, claims),
    ],
    [
      'duplicate kid',
      forge(keys, `{"alg":"${alg}","typ":"at+jwt","kid":"x","kid":"${kid}"}`, claims),
    ],
    ['header is an array', forge(keys, [header], claims)],
    ['header is a string', forge(keys, '"x"', claims)],
    ['header is null', forge(keys, 'null', claims)],
    ['header is not JSON', forge(keys, '{alg', claims)],
    ['header is not UTF-8', forge(keys, Buffer.from([0xff, 0xfe, 0x7b]), claims)],
    // kid
    ...[
      '',
      'unknown',
      '../../etc/passwd',
      '/dev/null',
      `${kid}?x=1`,
      `${kid}#`,
      `${kid}\n`,
      `${kid}\0`,
      "' OR 1=1 --",
      '__proto__',
      'constructor',
      'k'.repeat(2000),
      null,
      7,
      [kid],
      { kid },
    ].map((bad): [string, unknown] => [
      `kid ${JSON.stringify(bad).slice(0, 30)}`,
      withHeader({ kid: bad }),
    ]),
    ['no kid', forge(keys, { alg, typ: 'at+jwt' }, claims)],
    // typ
    ...['JWT', 'jwt', 'id+jwt', 'logout+jwt', '', null, 1, ['at+jwt']].map(
      (typ): [string, unknown] => [`typ ${JSON.stringify(typ)}`, withHeader({ typ })],
    ),
    ['no typ', forge(keys, { alg, kid }, claims)],
    // claims
    ...['https://evil.example', `${ISSUER}/`, ISSUER.slice(0, -1), '', [ISSUER], null, 1].map(
      (iss): [string, unknown] => [`iss ${JSON.stringify(iss)}`, withClaims({ iss })],
    ),
    ...['other', 'API', '', ['api'], ['other', 'api'], null, { api: 1 }].map(
      (aud): [string, unknown] => [`aud ${JSON.stringify(aud)}`, withClaims({ aud })],
    ),
    ...['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp', 'ver', 'role'].map(
      (name): [string, unknown] => [`no ${name}`, forge(keys, header, without(name))],
    ),
    ...[
      'admin',
      '__proto__',
      '64B0C0FFEE64B0C0FFEE64B0',
      '64b0c0ffee64b0c0ffee64b0 ',
      '64b0c0ffee64b0c0ffee64b\u0000',
    ].map((sub): [string, unknown] => [`sub ${JSON.stringify(sub)}`, withClaims({ sub })]),
    ...['sub', 'sid', 'jti', 'client_id'].flatMap((name) =>
      ['', 5, null, ['x'], { $ne: '' }, 'x'.repeat(200)].map((bad): [string, unknown] => [
        `${name} ${JSON.stringify(bad).slice(0, 20)}`,
        withClaims({ [name]: bad }),
      ]),
    ),
    ...[String(NOW + 900), NOW - LEEWAY, NOW + 0.5, -1, null, [NOW + 900], true].map(
      (exp): [string, unknown] => [`exp ${JSON.stringify(exp)}`, withClaims({ exp })],
    ),
    [
      'exp is infinite',
      forge(keys, header, JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1e999')),
    ],
    ['exp beyond the safe integers', withClaims({ exp: 2 ** 60 })],
    ['exp beyond all dates', withClaims({ exp: 8.64e12 + 1 })],
    ...['x', -1, 8.64e12 + 1, [NOW]].map((time): [string, unknown] => [
      `auth_time ${JSON.stringify(time)}`,
      withClaims({ auth_time: time }),
    ]),
    ...[5, null, ['users:read'], { $ne: '' }].map((scope): [string, unknown] => [
      `scope ${JSON.stringify(scope)}`,
      withClaims({ scope }),
    ]),
    ['iat in the future', withClaims({ iat: NOW + LEEWAY + 1 })],
    ['iat after exp', withClaims({ iat: NOW + 3, exp: NOW + 2 })],
    ['iat is text', withClaims({ iat: String(NOW) })],
    ['nbf in the future', withClaims({ nbf: NOW + LEEWAY + 1 })],
    ['nbf is text', withClaims({ nbf: String(NOW) })],
    ...['3', -1, 3.5, null, [3]].map((ver): [string, unknown] => [
      `ver ${JSON.stringify(ver)}`,
      withClaims({ ver }),
    ]),
    ...['super admin', 'Admin', '', ['admin'], null, 1, true].map((role): [string, unknown] => [
      `role ${JSON.stringify(role)}`,
      withClaims({ role }),
    ]),
    [
      'duplicate role',
      forge(
        keys,
        header,
        JSON.stringify(claims)
          .replace('"role"', '"role":"user","role"')
          .replace(/"user"}$/, '"admin"}'),
      ),
    ],
    [
      'duplicate sub',
      forge(keys, header, JSON.stringify(claims).replace('"sub"', '"sub":"0","sub"')),
    ],
    ['payload is an array', forge(keys, header, [claims])],
    ['payload is null', forge(keys, header, 'null')],
    ['payload is text', forge(keys, header, '"claims"')],
    ['payload is not JSON', forge(keys, header, 'foo')],
    [
      'payload is not UTF-8',
      forge(
        keys,
        header,
        Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')]),
      ),
    ],
    // form and size
    ['nothing', ''],
    ['undefined', undefined],
    ['an object', { length: 3 }],
    ['a number', 7],
    ['two parts', `${head}.${body}`],
    ['empty signature', `${head}.${body}.`],
    ['four parts', `${genuine}.${signature}`],
    ['trailing dot', `${genuine}.`],
    ['padding', `${genuine}=`],
    ['space before', ` ${genuine}`],
    ['newline after', `${genuine}\n`],
    ['a space inside', `${head}. ${body}.${signature}`],
    ['standard base64', `${head}.${body}+/.${signature}`],
    [
      'JSON serialization',
      JSON.stringify({ payload: body, signatures: [{ protected: head, signature }] }),
    ],
    ['an absurd size', withClaims({ filler: 'x'.repeat(5000) })],
    ['a megabyte', `${head}.${'A'.repeat(1 << 20)}.${signature}`],
    ['deep nesting', forge(keys, header, '['.repeat(2000))],
    ...respelled(signature).map((spelling, i): [string, unknown] => [
      `signature respelled ${i}`,
      `${head}.${body}.${spelling}`,
    ]),
    // signature
    ['another body', `${head}.${b64(JSON.stringify({ ...claims, role: 'admin' }))}.${signature}`],
    ['another head', `${b64(JSON.stringify({ kid, typ: 'at+jwt', alg }))}.${body}.${signature}`],
    [
      'first character of the signature',
      `${head}.${body}.${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`,
    ],
    ['truncated signature', `${head}.${body}.${signature.slice(0, -4)}`],
    ['longer signature', `${genuine}AAAA`],
    ['zero signature', `${head}.${body}.${b64(Buffer.alloc(64))}`],
    ['DER for zero', `${head}.${body}.${b64(Buffer.from([0x30, 6, 2, 1, 0, 2, 1, 0]))}`],
    ['signed by a stranger', signedBy(attacker.privateKey)],
    ['signature over nothing', `${head}.${body}.${signWith(keys, '')}`],
  ];
}

describe('time', () => {
  test('a token expires at exp plus the leeway, cached or not', async () => {
    const clock = { seconds: NOW };
    const tokens = tokensOf(await ringOf('ES256'), clock);
    const { token } = tokens.issue(USER, SID);
    for (const seconds of [NOW, NOW + 899, NOW + 900, NOW + 900 + LEEWAY - 1]) {
      clock.seconds = seconds;
      expect(tokens.verify(token).sub).toBe(USER.id);
    }
    clock.seconds = NOW + 900 + LEEWAY;
    const { code, headers } = refusal(tokens, token);
    expect(code).toBe('token_expired');
    expect(headers['WWW-Authenticate']).toBe(
      'Bearer realm="api", error="invalid_token", error_description="The token has expired."',
    );
  });

  test('only a token that is valid otherwise is reported as expired', async () => {
    const clock = { seconds: NOW };
    const keys = await ringOf('ES256');
    const tokens = tokensOf(keys, clock);
    const { token } = tokens.issue(USER, SID);
    const [head, body] = token.split('.') as [string, string];
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>;
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, unknown>;
    clock.seconds = NOW + 5000;
    expect(refusal(tokens, token).code).toBe('token_expired');
    for (const bad of [
      { sub: 'admin' },
      { aud: 'other' },
      { iss: 'other' },
      { role: 'Boss' },
      { iat: NOW + 900 },
    ]) {
      expect(refusal(tokens, forge(keys, header, { ...claims, ...bad })).code).toBe(
        'invalid_token',
      );
    }
    expect(refusal(tokens, `${head}.${body}.${'A'.repeat(86)}`).code).toBe('invalid_token');
  });

  test('a token expires with its session at the latest and has the time of the login', async () => {
    const tokens = tokensOf(await ringOf('ES256'));
    const session = {
      signedInAt: new Date((NOW - 100) * 1000),
      until: new Date(NOW * 1000 + 60_900),
      amr: ['pwd'],
    };
    const { token, expiresInSeconds } = tokens.issue(USER, SID, session);
    expect(expiresInSeconds).toBe(60);
    expect(tokens.verify(token)).toMatchObject({ exp: NOW + 60, auth_time: NOW - 100 });
    expect(
      tokens.issue(USER, SID, { ...session, until: new Date((NOW + 5000) * 1000) })
        .expiresInSeconds,
    ).toBe(900);
    expect(
      tokens.issue(USER, SID, { ...session, until: new Date(NOW * 1000 + 500) }).expiresInSeconds,
    ).toBe(0);
  });

  test('a clock that is behind by the leeway accepts the token', async () => {
    const clock = { seconds: NOW };
    const tokens = tokensOf(await ringOf('ES256'), clock);
    const { token } = tokens.issue(USER, SID);
    clock.seconds = NOW - LEEWAY;
    expect(tokens.verify(token).sub).toBe(USER.id);
    clock.seconds = NOW - LEEWAY - 1;
    expect(refusal(tokensOf(await ringOf('ES256'), clock), token).code).toBe('invalid_token');
  });
});

describe('the cache of verified tokens', () => {
  /**
   * Counts full verifications: each one looks the kid up while opening, a hit once to see that the
   * key still stands.
   */
  function watched(ring: KeyRing) {
    const state = { withdrawn: false, opened: 0 };
    const keys: KeyRing = {
      ...ring,
      find(kid): VerificationKey | undefined {
        if (state.withdrawn) return undefined;
        state.opened += 1;
        return ring.find(kid);
      },
    };
    return { keys, state };
  }

  test('accepts no other token and returns the claims of each token', async () => {
    const tokens = tokensOf(await ringOf('EdDSA'));
    const one = tokens.issue(USER, 'sid-one').token;
    const two = tokens.issue({ ...USER, role: 'admin' }, 'sid-two').token;
    for (let round = 0; round < 3; round += 1) {
      expect(tokens.verify(one)).toMatchObject({ sid: 'sid-one', role: 'user' });
      expect(tokens.verify(two)).toMatchObject({ sid: 'sid-two', role: 'admin' });
    }
    const [head, body] = one.split('.');
    expect(refusal(tokens, `${head}.${body}.${two.split('.')[2]}`).code).toBe('invalid_token');
  });

  test('removing a key revokes its cached tokens', async () => {
    const { keys, state } = watched(await ringWith('ES256'));
    const tokens = tokensOf(keys);
    const { token } = tokens.issue(USER, SID);
    expect(tokens.verify(token).sid).toBe(SID);
    state.withdrawn = true;
    expect(refusal(tokens, token).code).toBe('invalid_token');
  });

  test('is bounded: evicted tokens are verified again', async () => {
    const ring = await ringOf('HS256');
    const clock = { seconds: NOW };
    const tokens = tokensOf(ring, clock, 10);
    const issued = Array.from({ length: 50 }, () => tokens.issue(USER, SID).token);
    const first = issued.map((token) => tokens.verify(token));
    const again = issued.map((token) => tokens.verify(token));
    const remembered = again.filter((claims, i) => claims === first[i]).length;
    expect(remembered).toBeLessThanOrEqual(10);
    expect(tokens.verify(issued[49] as string)).toBe(again[49]);
  });

  test('is empty when it is disabled', async () => {
    const tokens = tokensOf(await ringOf('HS256'), { seconds: NOW }, 0);
    const { token } = tokens.issue(USER, SID);
    expect(tokens.verify(token)).not.toBe(tokens.verify(token));
    expect(tokens.verify(token)).toEqual(tokens.verify(token));
  });
});
