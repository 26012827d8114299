import { type ClientOptions, createClient } from '../../../packages/client/src';

const good = { baseUrl: 'https://id.example.test', fetch: failing };
async function failing(): Promise<Response> {
  throw new Error('nothing is sent in this test');
}

test.each<[object, string]>([
  [
    { baseUrl: undefined },
    'createClient: baseUrl must be the address of the service with its scheme',
  ],
  [{ baseUrl: 'id.example.test' }, 'createClient: baseUrl must be the address of the service'],
  [{ baseUrl: 'ftp://id.example.test' }, 'it is "ftp://id.example.test"'],
  [{ baseUrl: '/api' }, 'createClient: baseUrl must be the address of the service'],
  [{ baseUrl: 'https://id.example.test?a=1' }, 'createClient: baseUrl must be the address'],
  [{ baseURL: 'https://id.example.test' }, 'there is no option baseURL; there are baseUrl, mode'],
  [{ mode: 'cookies' }, `createClient: mode must be 'token' or 'cookie'; it is "cookies"`],
  [{ storage: {} }, 'storage must have the functions getItem, setItem and removeItem'],
  [{ storage: null }, 'storage must have the functions getItem, setItem and removeItem'],
  [{ storageKey: '' }, 'createClient: storageKey must be a text that is not empty; it is ""'],
  [{ fetch: 5 }, 'createClient: fetch must be a function; it is 5'],
  [{ onUserChange: {} }, 'createClient: onUserChange must be a function; it is object'],
  [{ timeoutMs: -1 }, 'timeoutMs must be milliseconds, from 1 to 2147483647; it is -1'],
  [{ timeoutMs: '30' }, 'timeoutMs must be milliseconds'],
  [{ attemptTimeoutMs: 2 ** 31 }, 'attemptTimeoutMs must be milliseconds'],
  [{ cachedAnswers: -1 }, 'cachedAnswers must be a number from 0'],
  [{ retryBudget: Number.NaN }, 'retryBudget must be a number from 0; it is NaN'],
])('%j is refused at once', (wrong, message) => {
  const create = () => createClient({ ...good, ...wrong } as ClientOptions);
  expect(create).toThrow(TypeError);
  expect(create).toThrow(message);
});

test.each([
  'https://ada:hidden@id.example.test',
  'ada:hidden@id.example.test',
  'https:/ada:hidden@id.example.test',
])('a password in the address %s is not in the message', (baseUrl) => {
  const create = () => createClient({ ...good, baseUrl });
  expect(create).toThrow(/^createClient: baseUrl (?!.*hidden)/);
});

test('without options the address is asked for', () => {
  expect(() => createClient(undefined as unknown as ClientOptions)).toThrow('baseUrl must be');
});

test('undefined is as left out', () => {
  const options = { ...good, mode: undefined, storage: undefined, timeoutMs: undefined } as unknown;
  createClient(options as ClientOptions).close();
});

test('a call refuses a time that is none, and sends nothing', async () => {
  const client = createClient(good);
  const call = client.users.get('me', { timeoutMs: -1 });
  await expect(call).rejects.toThrow('timeoutMs must be milliseconds, from 1 to 2147483647');
  await expect(call).rejects.toBeInstanceOf(TypeError);
  client.close();
});
