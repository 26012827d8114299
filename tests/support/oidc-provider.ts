import { fork } from 'node:child_process';
import { join } from 'node:path';

/** The user who signs in at the provider next. */
interface ProviderUser {
  readonly sub: string;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly refuses?: boolean;
}

export interface TestProvider {
  readonly issuer: string;
  become(user: ProviderUser): Promise<void>;
  /** From now on the path answers later, or with this status alone; with neither as it should. */
  behave(how: {
    readonly path: string;
    readonly delayMs?: number;
    readonly status?: number;
  }): Promise<void>;
  /** How often the path was asked. */
  count(path: string): Promise<number>;
  close(): Promise<void>;
}

export interface TestProviderOptions {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly redirectUri: string;
  /** Default: the claims of scopes are at the userinfo endpoint only. */
  readonly claimsIn?: 'id_token';
}

/** A real OpenID provider (panva/node-oidc-provider) in its own process. */
export async function startTestProvider(options: TestProviderOptions): Promise<TestProvider> {
  const { clientId, clientSecret, redirectUri, claimsIn = 'userinfo' } = options;
  const clients = [
    { client_id: clientId, client_secret: clientSecret, redirect_uris: [redirectUri] },
  ];
  const env = {
    ...process.env,
    NODE_OPTIONS: '',
    OIDC_CLIENTS: JSON.stringify(clients),
    OIDC_CLAIMS_IN: claimsIn,
  };
  const child = fork(join(__dirname, 'oidc-provider-child.js'), { env, silent: true });
  let errors = '';
  child.stderr?.on('data', (part: Buffer) => {
    errors += part.toString('utf8');
  });
  const waiting: ((count: number) => void)[] = [];
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the provider ended with ${code}: ${errors}`)));
    child.on('message', ({ port: opened, count = 0 }: { port?: number; count?: number }) => {
      if (opened !== undefined) resolve(opened);
      else waiting.shift()?.(count);
    });
  });
  const order = (what: object) =>
    new Promise<number>((resolve) => {
      waiting.push(resolve);
      child.send(what);
    });
  return {
    issuer: `http://127.0.0.1:${port}`,
    become: async (user) => void (await order({ user })),
    behave: async (behave) => void (await order({ behave })),
    count: (path) => order({ count: path }),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}
