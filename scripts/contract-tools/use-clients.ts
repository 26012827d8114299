// The generated clients at work, against the service whose address is the first argument. What is
// wrong shows in tsc or here.
import { getUser, register, replaceUser } from './clients/hey';
import { client } from './clients/hey/client.gen';
import { token } from './clients/orval';
import type { paths } from './clients/schema';

declare const process: { argv: string[]; exitCode: number };

type Equal<A, B> = [A, B] extends [B, A] ? true : false;
type Query = NonNullable<paths['/api/users']['get']['parameters']['query']>;
const typed: [
  Equal<Query['limit'], number | undefined>,
  Equal<Query['count'], boolean | undefined>,
] = [true, true];

function check(what: string, holds: boolean): void {
  console.log(`${holds ? 'ok' : 'FAILED'}: ${what}`);
  if (!holds) process.exitCode = 1;
}

async function main(baseUrl: string): Promise<void> {
  client.setConfig({ baseUrl });
  const body = {
    name: 'Ada Lovelace',
    email: `ada-${Date.now()}@example.org`,
    password: 'correct horse battery',
  };
  const { data: session, error } = await register({ body });
  // The types make each client look at this: a sign-in may ask for a second factor.
  if (session === undefined || 'mfa_required' in session)
    throw new Error(`register: ${JSON.stringify(error ?? session)}`);
  check(
    'register, types of limit and count',
    session.user.email === body.email && typed.every(Boolean),
  );

  const again = await register({ body });
  check('a problem has its code', again.error?.code === 'email_taken');

  client.setConfig({ baseUrl, auth: session.access_token });
  const mine = await getUser({ path: { id: 'me' } });
  if (mine.data === undefined) throw new Error(`getUser: ${JSON.stringify(mine.error)}`);
  const put = await replaceUser({ path: { id: 'me' }, body: mine.data });
  check('what GET gave can be PUT', put.response.status === 200);

  const refreshed = await token({
    grant_type: 'refresh_token',
    refresh_token: session.refresh_token,
  });
  check('the token endpoint takes a generated form', refreshed.status === 200);
}

main(process.argv[2] ?? '').catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
