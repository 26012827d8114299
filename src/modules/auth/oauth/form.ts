import { OAuthError } from './oauth-error';

/** A parsed URL-encoded body. A parameter that is repeated has an array. */
export type Form = Readonly<Record<string, string | string[]>>;

export interface ClientCredentials {
  readonly id: string;
  /** undefined for a public client. */
  readonly secret: string | undefined;
}

/** RFC 6749 §3.1: an empty parameter counts as absent, and none may be repeated. */
export function parameter(form: Form, name: string): string | undefined {
  const value = form[name];
  if (Array.isArray(value)) throw new OAuthError('invalid_request', `${name} is repeated.`);
  return value === undefined || value === '' ? undefined : value;
}

export function required(form: Form, name: string): string {
  const value = parameter(form, name);
  if (value === undefined) throw new OAuthError('invalid_request', `${name} is missing.`);
  return value;
}

/** RFC 6749 §2.3.1: in the header or in the body, not in both. */
export function clientCredentials(
  authorization: string | undefined,
  form: Form,
): ClientCredentials | undefined {
  const id = parameter(form, 'client_id');
  const secret = parameter(form, 'client_secret');
  if (authorization === undefined) return id === undefined ? undefined : { id, secret };
  const basic = readBasic(authorization);
  if (secret !== undefined || (id !== undefined && id !== basic.id)) {
    throw new OAuthError('invalid_request', 'Use only one method of client authentication.');
  }
  return basic;
}

function readBasic(authorization: string): ClientCredentials {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  const [id, secret] = (
    encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8')
  ).split(/:(.*)/s);
  try {
    if (id !== undefined && id !== '' && secret !== undefined)
      return { id: formDecode(id), secret: formDecode(secret) };
  } catch {
    // Invalid percent-encoding: reported as invalid credentials below.
  }
  throw new OAuthError('invalid_client', 'The Authorization header is malformed.', 401);
}

const formDecode = (text: string) => decodeURIComponent(text.replaceAll('+', ' '));
