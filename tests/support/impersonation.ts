import bcrypt from 'bcrypt';
import { createUserModel } from '../../src/modules/users/model';
import { createUserRepository } from '../../src/modules/users/repository';
import type { TestService } from './app';
import { type Answer, type Client, login, PASSWORD, uniqueEmail } from './http';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';
const USER_ID_TYPE = 'urn:token-type:user_id';

export interface Person {
  readonly id: string;
  readonly email: string;
  readonly token: string;
}

const passwordHash = bcrypt.hashSync(PASSWORD, 4);

/** A user of a role, signed in. */
export async function personOf(
  service: TestService,
  client: Client,
  role: string,
): Promise<Person> {
  const repository = createUserRepository(createUserModel(service.database.connection), {
    timeoutMs: 2000,
  });
  const [id, email] = [repository.newId(), uniqueEmail(role)];
  await repository.insert({ id, email, name: 'Ada', passwordHash, role }, new Date());
  return { id, email, token: await login(client, email, PASSWORD) };
}

export const formOf = (parameters: Readonly<Record<string, string>> | string[][]) => ({
  raw: new URLSearchParams(parameters as Record<string, string>).toString(),
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
});

/** The parameters of the exchange; those given replace them or, if empty, leave them out. */
export function exchangeOf(userId: string, actorToken: string, more: Record<string, string> = {}) {
  const all = {
    grant_type: TOKEN_EXCHANGE,
    subject_token: userId,
    subject_token_type: USER_ID_TYPE,
    actor_token: actorToken,
    actor_token_type: ACCESS_TOKEN_TYPE,
    ...more,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
}

export const exchange = (
  client: Client,
  userId: string,
  actorToken: string,
  more: Record<string, string> = {},
): Promise<Answer> =>
  client('POST', '/api/auth/token', formOf(exchangeOf(userId, actorToken, more)));

/** A token by which the actor acts as the user. */
export async function impersonate(client: Client, user: { id: string }, actor: Person) {
  const answer = await exchange(client, user.id, actor.token);
  if (answer.status !== 200) throw new Error(`the exchange answered ${answer.text}`);
  return String(answer.json.access_token);
}
