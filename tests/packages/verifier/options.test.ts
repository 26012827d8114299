import {
  createVerifier,
  expressVerifier,
  fastifyVerifier,
  type VerifierOptions,
} from '../../../packages/verifier/src';

const good = { issuer: 'https://id.example.test', audience: 'api', fetch: failing };
async function failing(): Promise<Response> {
  throw new TypeError('no network in this test');
}
const secret = { clientId: 'one', clientSecret: 'two' };

test.each<[object, string]>([
  [{ issuer: undefined }, 'createVerifier: issuer must be the address of the service'],
  [{ issuer: 'id.example.test' }, 'createVerifier: issuer must be the address of the service'],
  [{ issuer: 'http://id.example.test' }, 'http://id.example.test must be https:'],
  [{ audience: '' }, 'createVerifier: audience must be a text that is not empty'],
  [{ audience: ['api'] }, 'createVerifier: audience must be a text that is not empty'],
  [{ whenSilent: 'refuze' }, "whenSilent must be 'introspect' or 'refuse'; it is another text"],
  [{ credentials: {} }, 'credentials.clientId must be a text that is not empty'],
  [{ credentials: { ...secret, clientId: '' } }, 'credentials.clientId must be a text'],
  [{ credentials: { ...secret, clientSecret: ' ' } }, 'credentials.clientSecret must be a text'],
  [{ credentials: { ...secret, secret: 'x' } }, 'there is no option credentials.secret'],
  [{ credentials: null }, 'credentials must be { clientId, clientSecret }'],
  [{ credential: secret }, 'there is no option credential; did you mean credentials?'],
  [{ onevent: () => {} }, 'there is no option onevent; did you mean onEvent?'],
  [{ leeway: 5 }, 'there is no option leeway; there are issuer, audience, credentials'],
  [{ fetch: 5 }, 'createVerifier: fetch must be a function; it is 5'],
  [{ onEvent: 'log' }, 'createVerifier: onEvent must be a function'],
  [{ allowHttp: 'false' }, 'createVerifier: allowHttp must be true or false'],
  [{ clockToleranceSeconds: '5' }, 'clockToleranceSeconds must be a number from 0'],
  [{ clockToleranceSeconds: Number.NaN }, 'clockToleranceSeconds must be a number from 0'],
  [{ requestTimeoutMs: 0 }, 'requestTimeoutMs must be a number from 1 to 2147483647; it is 0'],
  [{ requestTimeoutMs: 2 ** 31 }, 'requestTimeoutMs must be a number from 1 to 2147483647'],
  [{ maxCachedTokens: -1 }, 'maxCachedTokens must be a number from 0'],
  [{ maxEnded: 0 }, 'maxEnded must be a number from 1'],
])('%j is refused at once', (wrong, message) => {
  expect(() => createVerifier({ ...good, ...wrong } as VerifierOptions)).toThrow(message);
});

test('a secret is not in the message', () => {
  const options = { ...good, credentials: { ...secret, secrt: 'hidden' } };
  expect(() => createVerifier(options)).toThrow(/^(?!.*(hidden|two))/);
  expect(() => createVerifier(undefined as unknown as VerifierOptions)).toThrow(
    'must be an object',
  );
});

test('undefined is as left out', () => {
  const options = { ...good, credentials: undefined, onEvent: undefined } as unknown;
  createVerifier(options as VerifierOptions).close();
});

describe.each([
  ['expressVerifier', expressVerifier],
  ['fastifyVerifier', fastifyVerifier],
])('%s', (name, middleware) => {
  const verifier = createVerifier(good);
  afterAll(() => verifier.close());

  test.each<[object, string]>([
    [{ alow: () => false }, 'there is no option alow; did you mean allow?'],
    [{ allow: 'admin' }, 'allow must be a function'],
  ])('%j is refused at once', (wrong, message) => {
    expect(() => middleware(verifier, wrong)).toThrow(`${name}: ${message}`);
  });

  test('needs a verifier', () => {
    expect(() => middleware({} as typeof verifier)).toThrow(`${name}: the first argument`);
  });
});
