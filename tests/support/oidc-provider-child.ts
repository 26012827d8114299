import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * A certified OpenID provider in its own process. Its parent gets the port, and sends orders: the
 * user who signs in next, how a path behaves, how often it was asked. No page: the user of the
 * moment signs in and consents at once.
 */
interface User {
  readonly sub: string;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Refuses at the provider. */
  readonly refuses?: boolean;
}

/** From now on the path answers later, or with this status alone. */
interface Behaviour {
  readonly path: string;
  readonly delayMs?: number;
  readonly status?: number;
}

type Order = { readonly user: User } | { readonly behave: Behaviour } | { readonly count: string };

interface ProviderInstance {
  readonly Grant: new (
    of: object,
  ) => {
    addOIDCScope(scope: string): void;
    save(): Promise<string>;
  };
  callback(): (request: IncomingMessage, response: ServerResponse) => void;
  interactionDetails(
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<{ readonly params: { readonly client_id: string; readonly scope: string } }>;
  interactionFinished(
    request: IncomingMessage,
    response: ServerResponse,
    result: object,
  ): Promise<void>;
}
type ProviderConstructor = new (issuer: string, configuration: object) => ProviderInstance;

const users = new Map<string, User>();
let present: User | undefined;
const behaviours = new Map<string, Behaviour>();
const asked: string[] = [];

async function main(): Promise<void> {
  const name = 'oidc-provider';
  const { default: Provider } = (await import(name)) as { default: ProviderConstructor };
  let provider: ProviderInstance | undefined;

  async function interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (provider === undefined || present === undefined) throw new Error('nobody signs in');
    const { params } = await provider.interactionDetails(request, response);
    if (present.refuses === true) {
      await provider.interactionFinished(request, response, { error: 'access_denied' });
      return;
    }
    const grant = new provider.Grant({ accountId: present.sub, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    const consent = { grantId: await grant.save() };
    const login = { accountId: present.sub, remember: false };
    await provider.interactionFinished(request, response, { login, consent });
  }

  const server = createServer(async (request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    asked.push(path);
    const { delayMs = 0, status } = behaviours.get(path) ?? {};
    if (delayMs > 0) await pause(delayMs);
    if (status !== undefined) response.writeHead(status).end();
    else if (request.url?.startsWith('/interaction/') === true)
      interact(request, response).catch((error: unknown) =>
        response.writeHead(500).end(String(error)),
      );
    else provider?.callback()(request, response);
  });
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    provider = new Provider(`http://127.0.0.1:${port}`, {
      clients: JSON.parse(process.env['OIDC_CLIENTS'] ?? '[]'),
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
      conformIdTokenClaims: process.env['OIDC_CLAIMS_IN'] !== 'id_token',
      cookies: { keys: ['a key of the tests'] },
      features: { devInteractions: { enabled: false } },
      interactions: {
        url: (_context: unknown, { uid }: { uid: string }) => `/interaction/${uid}`,
      },
      findAccount: (_context: unknown, sub: string) => ({
        accountId: sub,
        claims: () => ({ sub, ...users.get(sub)?.claims }),
      }),
    });
    process.send?.({ port });
  });
}

process.on('message', (order: Order) => {
  if ('user' in order) {
    users.set(order.user.sub, order.user);
    present = order.user;
  }
  if ('behave' in order) behaviours.set(order.behave.path, order.behave);
  const count = 'count' in order ? asked.filter((path) => path === order.count).length : 0;
  process.send?.({ count });
});
process.on('disconnect', () => process.exit(0));
main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
