import { readFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { CDPSession } from 'playwright-core';
import { root } from './service';

/** The JavaScript of the documentation, as a reader copies it. */
function documentedScript(): string {
  const text = readFileSync(path.join(root, 'docs', 'passkeys.md'), 'utf8');
  const [script, ...more] = [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
  if (script === undefined || more.length > 0) throw new Error('not one block of JavaScript');
  return script;
}

/** One origin with the page of the documentation, in front of a service. */
export interface PasskeySite {
  readonly origin: string;
  readonly server: Server;
}

export async function startPasskeySite(service: () => string): Promise<PasskeySite> {
  const server = createServer((req, res) => {
    if (req.url === '/') {
      res.setHeader('content-type', 'text/html');
      res.end(`<!doctype html><title>page</title><script>${documentedScript()}</script>`);
      return;
    }
    const { method, headers } = req;
    const forwarded = request(`${service()}${req.url}`, { method, headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    forwarded.on('error', () => res.destroy());
    req.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://localhost:${port}`, server };
}

export interface VirtualAuthenticator {
  credentials(): Promise<{ credentialId: string; userHandle?: string; signCount: number }[]>;
  setUserVerified(isUserVerified: boolean): Promise<void>;
}

/** A platform authenticator whose user is always there. */
export async function addAuthenticator(cdp: CDPSession): Promise<VirtualAuthenticator> {
  await cdp.send('WebAuthn.enable', { enableUI: false });
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    credentials: async () =>
      (await cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials,
    setUserVerified: async (isUserVerified) => {
      await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
    },
  };
}
