import { OAuthError } from './problems';

/** What URL-encoded bodies are parsed to: a name that comes twice has an array. */
export type Form = Readonly<Record<string, string | string[]>>;

export interface ClientCredentials {
  readonly id: string;
  /** Absent for a public client, which only names itself. */
  readonly secret: string | undefined;
}

/** RFC 6749 §3.1: empty is absent, and no parameter comes twice. */
export function parameter(form: Form, name: string): string | undefined {
  const value = form[name];
  if (Array.isArray(value)) throw new OAuthError('invalid_request', `${name} comes more than once.`);
  return value === undefined || value === '' ? undefined : value;
}

export function required(form: Form, name: string): string {
  const value = parameter(form, name);
  if (value === undefined) throw new OAuthError('invalid_request', `${name} is missing.`);
  return value;
}

/** RFC 6749 §2.3.1: in the header or in the body, never both. */
export function clientCredentials(authorization: string | undefined, form: Form): ClientCredentials | undefined {
  const id = parameter(form, 'client_id');
  const secret = parameter(form, 'client_secret');
  if (authorization === undefined) return id === undefined ? undefined : { id, secret };
  const basic = readBasic(authorization);
  if (secret !== undefined || (id !== undefined && id !== basic.id)) {
    throw new OAuthError('invalid_request', 'Use one way of client authentication only.');
  }
  return basic;
}

function readBasic(authorization: string): ClientCredentials {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  const [id, secret] = (encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8')).split(/:(.*)/s);
  try {
    if (id !== undefined && id !== '' && secret !== undefined) return { id: formDecode(id), secret: formDecode(secret) };
  } catch {
    // A broken percent-encoding: not these credentials.
  }
  throw new OAuthError('invalid_client', 'The Authorization header could not be understood.', 401);
}

const formDecode = (text: string) => decodeURIComponent(text.replaceAll('+', ' '));
