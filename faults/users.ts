import type { PlannedRequest } from './load';

export const USERS_PASSWORD = 'a long enough password';

export interface Registered {
  readonly access_token: string;
  readonly user: { readonly id: string };
}

export async function registerUser(url: string, name: string, email: string): Promise<Registered> {
  const answer = await fetch(`${url}/api/auth/register`, {
    method: 'POST',
    body: JSON.stringify({ name, email, password: USERS_PASSWORD }),
    headers: { 'content-type': 'application/json' },
  });
  if (answer.status !== 201)
    throw new Error(`register answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as Registered;
}

/** Three reads to one write of each user's own account. */
export function readsAndWrites(
  users: readonly Pick<Registered, 'access_token'>[],
): PlannedRequest[] {
  return users.flatMap(({ access_token }) => {
    const headers = { authorization: `Bearer ${access_token}` };
    const read = { method: 'GET', path: '/api/users/me', headers, tag: 'read' };
    const body = '{"name":"Name {n}"}';
    const write = { method: 'PATCH', path: '/api/users/me', headers, body, tag: 'write' };
    return [read, read, read, write];
  });
}
