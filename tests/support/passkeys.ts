import {
  type Answering,
  createSoftAuthenticator,
  type SoftPasskey,
} from '../../dev/passkeys/authenticator';
import type { TestService } from './app';
import { type Answer, type Client, register } from './http';

const ORIGIN = 'https://app.example.org';
const RP_ID = 'example.org';

/** The pages of these settings are at ORIGIN. */
export const PASSKEY_SETTINGS = {
  PASSKEY_RP_ID: RP_ID,
  PASSKEY_ORIGINS: `${ORIGIN},https://example.org`,
} as const;

const PATH = '/api/auth/passkeys';

/** What a page does with passkeys, by a client and an authenticator in software. */
export function passkeyPage(client: Client, origin: string = ORIGIN) {
  const authenticator = createSoftAuthenticator(origin);
  const creation = (token: string) => client('POST', `${PATH}/registration/options`, { token });
  const request = () => client('POST', `${PATH}/sign-in/options`);
  const page = {
    authenticator,
    creation,
    request,
    register: (token: string, credential: object, name?: string) =>
      client('POST', `${PATH}/registration`, {
        token,
        body: { credential, ...(name !== undefined && { name }) },
      }),
    /** Answers the sign-in that waits. */
    async verify(mfa_token: string, passkey: SoftPasskey, given: Answering = {}) {
      const path = `${PATH}/second-factor/options`;
      const { public_key } = succeeded(await client('POST', path, { body: { mfa_token } }));
      const credential = authenticator.get(public_key, passkey, given);
      const body = { mfa_token, factor: 'passkey', credential };
      return client('POST', '/api/auth/mfa/verify', { body });
    },
    async stepUp(token: string, passkey: SoftPasskey, given: Answering = {}) {
      const { public_key } = succeeded(await client('POST', `${PATH}/step-up/options`, { token }));
      const credential = authenticator.get(public_key, passkey, given);
      const body = { factor: 'passkey', credential };
      return client('POST', '/api/auth/mfa/step-up', { token, body });
    },
    signIn: (credential: object) => client('POST', `${PATH}/sign-in`, { body: { credential } }),
    list: async (token: string) => (await client('GET', PATH, { token })).json.data,

    /** Registers a new passkey, and throws when the service refuses it. */
    async add(token: string, given: Answering = {}, name?: string): Promise<AddedPasskey> {
      const options = succeeded(await creation(token)).public_key;
      const { passkey, credential } = authenticator.create(options, given);
      const added = succeeded(await page.register(token, credential, name));
      return { ...passkey, passkeyId: String(added.passkey.id), added };
    },

    /** Asks for options, and answers with the passkey. */
    async use(passkey: SoftPasskey, given: Answering = {}): Promise<Answer> {
      const options = succeeded(await request()).public_key;
      return page.signIn(authenticator.get(options, passkey, given));
    },
  };
  return page;
}

export type AddedPasskey = SoftPasskey & {
  readonly passkeyId: string;
  /** The answer to the registration. */
  // biome-ignore lint/suspicious/noExplicitAny: as Answer.json.
  readonly added: any;
};

export interface WithPasskey {
  readonly id: string;
  readonly email: string;
  readonly passkey: AddedPasskey;
  /** Of the session in which the passkey was added. */
  readonly token: string;
}

/** A new account with a passkey. */
export async function withPasskey(client: Client): Promise<WithPasskey> {
  const { user, access_token } = await register(client);
  const passkey = await passkeyPage(client).add(access_token);
  return { id: user.id, email: user.email, passkey, token: passkey.added.access_token };
}

function succeeded({ status, json, text }: Answer) {
  if (status >= 300) throw new Error(`answered ${status}: ${text}`);
  return json;
}

/** As it is stored. */
export async function storedPasskey(service: TestService, credentialId: string) {
  const row = await service.database.connection
    .collection<{ passkeys: Record<string, unknown>[] }>('passkeys')
    .findOne({ 'passkeys.credentialId': credentialId });
  return row?.passkeys.find((one) => one['credentialId'] === credentialId);
}

/** The events of an account in the audit log, once there are any of the type. */
export const auditedOf = (service: TestService, subject: string, type: string) =>
  service.database.connection.collection('audit_events').find({ subject, type }).toArray();
