// Requests to the service, with the token of a service account that is renewed before it expires.
const { AUTH_URL = 'http://localhost:3000' } = process.env;
// A service account with the scopes events:read and users:read.
const { AUTH_CLIENT_ID, AUTH_CLIENT_SECRET } = process.env;
if (!AUTH_CLIENT_ID || !AUTH_CLIENT_SECRET) {
  console.error('Set AUTH_CLIENT_ID and AUTH_CLIENT_SECRET: see examples/README.md.');
  process.exit(64);
}
let token; // { value, untilMs }

async function request(path, init = {}) {
  const response = await fetch(AUTH_URL + path, { ...init, signal: AbortSignal.timeout(10_000) });
  const body = await response.json().catch(() => ({}));
  if (response.ok || [404, 410].includes(response.status)) return { status: response.status, body };
  if (response.status === 401) token = undefined;
  throw new Error(`${path} got ${response.status} ${body.code ?? body.error ?? ''}`);
}

/** The answer to a GET, also where there is nothing (404) or no longer (410). */
export async function get(path) {
  if (token === undefined || token.untilMs < Date.now()) {
    const basic = Buffer.from(`${AUTH_CLIENT_ID}:${AUTH_CLIENT_SECRET}`).toString('base64');
    const headers = { authorization: `Basic ${basic}` };
    const form = new URLSearchParams({ grant_type: 'client_credentials' });
    const { body } = await request('/api/auth/token', { method: 'POST', headers, body: form });
    token = { value: body.access_token, untilMs: Date.now() + (body.expires_in - 30) * 1000 };
  }
  return request(path, { headers: { authorization: `Bearer ${token.value}` } });
}
