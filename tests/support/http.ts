import { randomBytes } from 'node:crypto';
import { type Contract, createContract } from './contract';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON; undefined without a body. */
  // biome-ignore lint/suspicious/noExplicitAny: responses have many shapes; each expectation checks the members that it reads.
  readonly json: any;
  readonly text: string;
}

export interface RequestOptions {
  readonly token?: string;
  readonly body?: unknown;
  /** Sent unchanged, instead of `body`. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The OpenAPI document that a service publishes, if any. */
async function contractOf(baseUrl: string): Promise<Contract | undefined> {
  const response = await fetch(`${baseUrl}/openapi.json`, {
    signal: AbortSignal.timeout(20_000),
  }).catch(() => undefined);
  return response?.status === 200 ? createContract((await response.json()) as object) : undefined;
}

/**
 * A minimal client of one base URL. It checks every response against the OpenAPI document of the
 * service, which costs one more request; `unchecked` is for tests that count requests.
 */
export function createClient(baseUrl: string, { unchecked = false } = {}) {
  let contract: Promise<Contract | undefined> | undefined = unchecked
    ? Promise.resolve(undefined)
    : undefined;
  return async (
    method: string,
    path: string,
    { token, body, raw, headers = {} }: RequestOptions = {},
  ): Promise<Answer> => {
    const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(`${baseUrl}${path}`, {
      method,
      redirect: 'manual',
      signal: AbortSignal.timeout(20_000),
      headers: {
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(payload === undefined ? {} : { body: payload }),
    });
    const text = await response.text();
    const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '');
    const json = isJson && text !== '' ? (JSON.parse(text) as unknown) : undefined;
    const { status, headers: received } = response;
    contract ??= contractOf(baseUrl);
    const fault = (await contract)?.fault({ method, path, status, headers: received, json, text });
    if (fault !== undefined) throw new Error(`against the OpenAPI document: ${fault}`);
    return { status, headers: received, text, json };
  };
}

export type Client = ReturnType<typeof createClient>;

export const uniqueEmail = (name = 'user'): string =>
  `${name}-${randomBytes(6).toString('hex')}@example.org`;

export const PASSWORD = 'correct horse battery';

/** Registers a new user; resolves with its tokens and representation. */
export async function register(client: Client, overrides: Record<string, unknown> = {}) {
  const body = { name: 'Ada Lovelace', email: uniqueEmail(), password: PASSWORD, ...overrides };
  const answer = await client('POST', '/api/auth/register', { body });
  if (answer.status !== 201) throw new Error(`register answered ${answer.status}: ${answer.text}`);
  return {
    ...(answer.json as {
      user: { id: string; name: string; email: string; role: string };
      access_token: string;
      refresh_token: string;
    }),
    password: String(body.password),
  };
}

export async function login(client: Client, email: string, password: string): Promise<string> {
  const answer = await client('POST', '/api/auth/login', { body: { email, password } });
  if (answer.status !== 200) throw new Error(`login answered ${answer.status}: ${answer.text}`);
  return (answer.json as { access_token: string }).access_token;
}

/** Polls until `condition` holds; no fixed sleeps. */
export async function eventually<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
