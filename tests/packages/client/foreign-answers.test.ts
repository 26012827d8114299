import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Client, createClient } from '../../../packages/client/src';

/** In the place of the service: a portal of a network, a proxy, or another program. */
let server: Server;
let client: Client;
afterEach(() => {
  client?.close();
  server?.close();
});

async function before(answer: RequestListener): Promise<Client> {
  server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = createClient({ baseUrl, timeoutMs: 2000 });
  return client;
}

const page: RequestListener = (_request, response) => {
  response.setHeader('content-type', 'text/html');
  response.end('<h1>Accept the terms</h1>');
};
const other: RequestListener = (_request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end('{"ok":true}');
};
const nothing: RequestListener = (_request, response) => void response.writeHead(204).end();
const ACCOUNT = { email: 'ada@example.org', password: 'correct horse battery' };

test.each([
  ['a page', page],
  ['JSON of another program', other],
  ['nothing', nothing],
])('a login that is answered with %s fails', async (_, answer) => {
  const { auth } = await before(answer);
  await expect(auth.login(ACCOUNT)).rejects.toMatchObject({ name: 'ClientError', code: 'network' });
});

test('a page confirms no logout, and is no user', async () => {
  const { auth, users } = await before(page);
  const claims = Buffer.from(JSON.stringify({ exp: Date.now() / 1000 + 900 })).toString(
    'base64url',
  );
  await auth.adopt({ access_token: `e30.${claims}.e30` });
  await expect(auth.logout()).rejects.toMatchObject({
    code: expect.stringMatching(/network|timeout/),
  });
  await expect(users.get('me')).rejects.toMatchObject({
    code: expect.stringMatching(/network|timeout/),
  });
});
