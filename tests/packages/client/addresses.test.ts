import { type Client, createClient, type Method } from '../../../packages/client/src';
import { startTestService, type TestService } from '../../support/app';

/** A request is about what its caller has named, or it is not sent. */

let service: TestService;
let sent: string[] = [];
let client: Client;
const recording: typeof fetch = async (input, init) => {
  sent.push(`${init?.method} ${new URL(String(input)).pathname}`);
  return fetch(input, init);
};
const made = (options: object = {}) =>
  createClient({ baseUrl: service.baseUrl, fetch: recording, ...options });

beforeAll(async () => {
  service = await startTestService();
  client = made();
  const { email, password } = service.admin;
  await client.auth.login({ email, password });
});
beforeEach(() => {
  sent = [];
});
afterAll(async () => {
  client?.close();
  await service?.close();
});

const newUser = (n: number) => ({
  ...{ name: 'Ada', email: `ada-${n}@example.org`, password: 'correct horse battery' },
});

describe.each([
  ['', '""'],
  ['.', '"."'],
  ['..', '".."'],
  ['%2e', '"%2e"'],
  ['.%2E', '".%2E"'],
  ['a/../..', '"a/../.."'],
  ['..\\', '"..\\\\"'],
  ['x%2f..', '"x%2f.."'],
  [undefined, 'undefined'],
  [null, 'null'],
  [['a'], '["a"]'],
])('the id %j', (given, shown) => {
  const id = given as string;
  test('is refused before anything is sent', async () => {
    const calls: [string, Promise<unknown>][] = [
      ['GET /api/users/{id}', client.users.get(id)],
      ['GET /api/users/{id}', client.users.update(id, { name: 'x' })],
      ['DELETE /api/users/{id}', client.users.remove(id)],
    ];
    for (const [name, call] of calls)
      await expect(call).rejects.toThrow(
        new TypeError(`${name} needs path.id; ${shown} is not one`),
      );
    const route = '/api/users/{id}/sessions/{sessionId}';
    const ending = client.request('DELETE', route, { path: { id: 'me', sessionId: id } });
    await expect(ending).rejects.toThrow(`DELETE ${route} needs path.sessionId; ${shown}`);
    expect(sent).toEqual([]);
  });
});

test('a path that is left out is refused, too', async () => {
  const untyped = client.request as (method: Method, path: string) => Promise<unknown>;
  await expect(untyped('DELETE', '/api/users/{id}')).rejects.toThrow('needs path.id; undefined');
  expect(sent).toEqual([]);
});

test('the user whose session is ended stays', async () => {
  const { id } = await client.request('POST', '/api/users', { body: newUser(1) });
  const path = { id, sessionId: '..' };
  await client.request('DELETE', '/api/users/{id}/sessions/{sessionId}', { path }).catch(() => {});
  expect((await client.users.get(id)).id).toBe(id);
});

test('a header that cannot be sent is no failure of the network', async () => {
  const header = { headers: { 'x-note': 'one\r\nx-other: two' } };
  await expect(client.users.get('me', header)).rejects.toMatchObject({ name: 'TypeError' });
  const key = { body: newUser(2), idempotencyKey: 'one\r\ntwo' };
  await expect(client.request('POST', '/api/users', key)).rejects.toMatchObject({
    name: 'TypeError',
  });
  expect(sent).toEqual([]);
});

test("the caller's header takes the place of the client's, however it is written", async () => {
  const headers = { 'Idempotency-Key': 'a-key-of-the-caller', 'Content-Type': 'application/json' };
  const body = newUser(3);
  const first = await client.request('POST', '/api/users', { body, headers });
  expect(await client.request('POST', '/api/users', { body, headers })).toEqual(first);
});
