import { URI } from 'otpauth';
import type { TestService } from './app';
import { type Answer, type Client, PASSWORD, register } from './http';

/** An authenticator app: it has read the otpauth URI. `steps`: how far its clock is off. */
export type App = (steps?: number) => string;

export function appOf(uri: string): App {
  const totp = URI.parse(uri);
  if (!('period' in totp)) throw new Error(`not a TOTP: ${uri}`);
  return (steps = 0) => totp.generate({ timestamp: Date.now() + steps * 30_000 });
}

export interface WithTotp {
  readonly id: string;
  readonly email: string;
  readonly app: App;
  readonly factorId: string;
  /** Of the session in which the app was added. */
  readonly token: string;
  readonly refreshToken: string;
  readonly recoveryCodes: readonly string[];
  /** Base32. */
  readonly secret: string;
}

/** A new account with an authenticator app. No step of the app counts as used. */
export async function withTotp(
  service: Pick<TestService, 'database'>,
  client: Client,
): Promise<WithTotp> {
  const { user, access_token } = await register(client);
  const added = await addTotp(client, access_token);
  await laterOn(service, user.id);
  return { id: user.id, email: user.email, ...added };
}

export async function addTotp(client: Client, token: string) {
  const enrolment = await client('POST', '/api/auth/factors/totp', { token, body: {} });
  if (enrolment.status !== 201) throw new Error(`enrolment: ${enrolment.text}`);
  const app = appOf(enrolment.json.otpauth_uri);
  const body = { code: app() };
  const { status, text, json } = await client('POST', '/api/auth/factors/totp/confirm', {
    ...{ token, body },
  });
  if (status !== 200) throw new Error(`confirmation: ${text}`);
  return {
    app,
    factorId: enrolment.json.id as string,
    token: json.access_token as string,
    refreshToken: json.refresh_token as string,
    recoveryCodes: json.recovery_codes as string[],
    secret: enrolment.json.secret as string,
  };
}

/** As if the steps that were used had passed: the next code need not wait for half a minute. */
export async function laterOn({ database }: Pick<TestService, 'database'>, userId: string) {
  await database.connection.collection('factors').updateMany({ userId }, { $set: { lastStep: 0 } });
}

export const signIn = (client: Client, email: string, password = PASSWORD): Promise<Answer> =>
  client('POST', '/api/auth/login', { body: { email, password } });

export const verify = (client: Client, mfa_token: string, code: string, factor = 'totp') =>
  client('POST', '/api/auth/mfa/verify', { body: { mfa_token, factor, code } });

/** The `mfa_token` of a login with the password. */
export async function firstStep(client: Client, email: string, password = PASSWORD) {
  const { status, json } = await signIn(client, email, password);
  if (status !== 200 || json.mfa_required !== true)
    throw new Error(`no factor was asked: ${status} ${JSON.stringify(json)}`);
  return json.mfa_token as string;
}

export const claimsIn = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<
    string,
    unknown
  >;
